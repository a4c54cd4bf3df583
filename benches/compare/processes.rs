//! Processor time and memory, from Linux' `/proc`. Zero where there is none.

use std::collections::VecDeque;
use std::fs;
use std::time::Duration;

/// `/proc` counts processor time in this unit on every Linux: `USER_HZ`.
const TICK: Duration = Duration::from_millis(10);

/// The process and all its descendants.
pub fn tree(root: u32) -> Vec<u32> {
    let (mut tree, mut open) = (Vec::new(), VecDeque::from([root]));
    while let Some(process) = open.pop_front() {
        tree.push(process);
        let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
        for thread in threads {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            open.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        }
    }
    tree
}

/// User and system time of these processes.
pub fn cpu(processes: &[u32]) -> Duration {
    TICK * processes.iter().map(|process| ticks(*process).unwrap_or(0)).sum::<u32>()
}

fn ticks(process: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The second field, the name, may contain spaces.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system): (u32, u32) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user + system)
}

/// The proportional set size of these processes in MiB: a page that several share is counted once.
pub fn memory(processes: &[u32]) -> f64 {
    processes.iter().filter_map(|process| kilobytes(*process)).sum::<f64>() / 1024.0
}

fn kilobytes(process: u32) -> Option<f64> {
    let rollup = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// Processor time of the calling thread.
pub fn thread_cpu() -> Duration {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(stat.split_whitespace().next().and_then(|time| time.parse().ok()).unwrap_or(0))
}
