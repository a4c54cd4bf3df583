//! The limit of logins: how many Argon2id hashes all cores make.

use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Params, Version};

const DURATION: Duration = Duration::from_secs(2);

pub fn hashes_per_second() -> f64 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let began = Instant::now();
    let threads: Vec<_> = (0..cores).map(|_| std::thread::spawn(move || hash_until(began + DURATION))).collect();
    let hashes: u32 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    f64::from(hashes) / began.elapsed().as_secs_f64()
}

/// With the parameters of all servers.
fn hash_until(end: Instant) -> u32 {
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(19_456, 2, 1, None).unwrap());
    let mut hashes = 0;
    while Instant::now() < end {
        argon2.hash_password_into(b"seven calm herons", b"sixteen byte salt", &mut [0; 32]).unwrap();
        hashes += 1;
    }
    hashes
}
