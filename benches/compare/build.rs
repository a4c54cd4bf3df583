//! Builds the servers of `benches/peers` in the target directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::options::{Name, Options};

#[derive(Clone)]
pub struct Executable {
    pub name: Name,
    pub program: PathBuf,
    pub argument: Option<PathBuf>,
}

const PEERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers");

/// The program first, then the other chosen servers.
pub fn build(work: &Path, options: &Options) -> Vec<Executable> {
    let mut executables = vec![Executable {
        name: Name::OrderPortal,
        program: env!("CARGO_BIN_EXE_order-portal").into(),
        argument: Some("serve".into()),
    }];
    for name in options.servers() {
        let (program, argument) = match name {
            Name::OrderPortal => continue,
            Name::Baseline => {
                (options.baseline.as_deref().unwrap().canonicalize().expect("the baseline"), Some("serve".into()))
            }
            Name::Express1 | Name::Express2 => ("node".into(), Some(install_express(work))),
            Name::Axum => (build_crate(work, "axum"), None),
            Name::Bare => (build_crate(work, "bare"), None),
        };
        executables.push(Executable { name, program, argument });
    }
    executables
}

/// Copies the server, so that `node_modules` is not in the source tree, and installs the locked packages.
fn install_express(work: &Path) -> PathBuf {
    let (source, target) = (Path::new(PEERS).join("express"), work.join("express"));
    fs::create_dir_all(target.join("views")).unwrap();
    let lock = fs::read(source.join("package-lock.json")).unwrap();
    let is_installed = target.join("node_modules/.package-lock.json").is_file()
        && fs::read(target.join("package-lock.json")).is_ok_and(|installed| installed == lock);
    for file in ["server.js", "views/list.ejs", "views/order.ejs", "package.json", "package-lock.json"] {
        fs::copy(source.join(file), target.join(file)).unwrap();
    }
    if !is_installed {
        eprintln!("installing the packages of express");
        fs::remove_dir_all(target.join("node_modules")).ok();
        run(Command::new("npm").args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(&target));
    }
    target.join("server.js")
}

fn build_crate(work: &Path, name: &str) -> PathBuf {
    eprintln!("building {name}");
    let manifest = Path::new(PEERS).join(name).join("Cargo.toml");
    let target = work.join("peers");
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "--locked", "--quiet", "--manifest-path"]).arg(manifest);
    // The program's own flags for SQLite are not the usual choice.
    run(cargo.env("CARGO_TARGET_DIR", &target).env("LIBSQLITE3_FLAGS", ""));
    target.join("release").join(format!("{name}-peer"))
}

fn run(command: &mut Command) {
    let status = command.status().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}; please install it"));
    assert!(status.success(), "{command:?} failed");
}
