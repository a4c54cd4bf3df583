//! `backup.prom`: what monitoring knows of the backups, for the textfile collector of Prometheus' node exporter. The schedule is a process of
//! its own, so the server's `/metrics` cannot have it.

use std::io::{Error, Result, Write};
use std::path::Path;
use std::time::Duration;

use prometheus::{Gauge, IntCounter, IntGauge, Registry, TextEncoder};

use super::files::BackupFile;

const FILE: &str = "backup.prom";

pub(super) struct Metrics {
    registry: Registry,
    last_success: IntGauge,
    size: IntGauge,
    duration: Gauge,
    files: IntGauge,
    failures: IntCounter,
}

impl Metrics {
    pub fn new() -> prometheus::Result<Self> {
        let metrics = Self {
            registry: Registry::new(),
            last_success: IntGauge::new(
                "order_portal_backup_last_success_timestamp_seconds",
                "Unix time of the last complete backup; 0 when there is none.",
            )?,
            size: IntGauge::new("order_portal_backup_last_size_bytes", "Size of the last complete backup.")?,
            duration: Gauge::new(
                "order_portal_backup_last_duration_seconds",
                "Time that the last backup took, with its verification; 0 before the first of this process.",
            )?,
            files: IntGauge::new("order_portal_backup_files", "Backups in the directory.")?,
            failures: IntCounter::new(
                "order_portal_backup_failures_total",
                "Backups that failed since this process started.",
            )?,
        };
        let Self { registry, last_success, size, duration, files, failures } = &metrics;
        registry.register(Box::new(last_success.clone()))?;
        registry.register(Box::new(size.clone()))?;
        registry.register(Box::new(duration.clone()))?;
        registry.register(Box::new(files.clone()))?;
        registry.register(Box::new(failures.clone()))?;
        Ok(metrics)
    }

    /// The backups in the directory, the newest last.
    pub fn set_files(&self, files: &[BackupFile]) -> Result<()> {
        self.files.set(i64::try_from(files.len()).unwrap_or(i64::MAX));
        if let Some(newest) = files.last() {
            self.last_success.set(newest.written_at.get());
            self.size.set(newest.path.metadata()?.len().cast_signed());
        }
        Ok(())
    }

    pub fn set_duration(&self, duration: Duration) {
        self.duration.set(duration.as_secs_f64());
    }

    pub fn count_failure(&self) {
        self.failures.inc();
    }

    /// Replaces the file in one step. It has no secret, and the collector is another user: everybody may read it.
    pub fn write(&self, directory: &Path) -> Result<()> {
        let text = TextEncoder::new().encode_to_string(&self.registry.gather()).map_err(Error::other)?;
        let mut builder = tempfile::Builder::new();
        builder.prefix(".backup.prom.");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
        let mut file = builder.tempfile_in(directory)?;
        file.write_all(text.as_bytes())?;
        file.persist(directory.join(FILE))?;
        Ok(())
    }
}
