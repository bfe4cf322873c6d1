//! Resource limits of the child, put on by the child itself before it reads anything untrusted.
//!
//! Responsible for: `setrlimit` and no-new-privileges.
//! Not: the wall clock; the parent kills the process group.
//! Invariants: limits only ever get tighter; if one cannot be set, nothing is run.
//!
//! No new thread or process can be started under `NPROC` 0, no file can grow under `FSIZE` 0, and the
//! descriptors left are a few sockets. (Linux lets root start processes all the same: operators run
//! nodes as a user of their own.)

use std::io;

use rlimit::Resource;

use crate::manifest::Limits;

/// Descriptors: stdio, the event loop, and a connection with its DNS socket and files.
const OPEN_FILES: u64 = 32;

/// Puts the limits on this process.
///
/// # Errors
/// When the system refuses one of them.
pub(super) fn confine(limits: Limits) -> io::Result<()> {
    rustix::thread::set_no_new_privs(true)?;
    // Address space counts the mapped program too, which differs between builds by hundreds of
    // megabytes: the limit is what the manifest grants on top of what is mapped already.
    let address_space = mapped_bytes()?.saturating_add(limits.memory_bytes);
    let cpu_s = limits.cpu_ms.div_ceil(1000).max(1);
    lower(Resource::CORE, 0)?;
    lower(Resource::FSIZE, 0)?;
    lower(Resource::NOFILE, OPEN_FILES)?;
    lower(Resource::NPROC, 0)?;
    lower(Resource::CPU, cpu_s)?;
    lower(Resource::AS, address_space)
}

fn lower(resource: Resource, bound: u64) -> io::Result<()> {
    let (_, hard) = resource.get()?;
    let bound = bound.min(hard);
    resource.set(bound, bound)
}

fn mapped_bytes() -> io::Result<u64> {
    let page_bytes = u64::try_from(rustix::param::page_size()).map_err(io::Error::other)?;
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    statm
        .split_whitespace()
        .next()
        .and_then(|pages| pages.parse::<u64>().ok())
        .and_then(|pages| pages.checked_mul(page_bytes))
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}
