//! Which processes run: what a dead run left behind may be removed, what a living one writes may not.

use std::path::Path;

use crate::ops::leftovers::{Owner, Processes};

/// The processes of this machine, as Linux tells them in `/proc`. Elsewhere nothing is known of others.
#[derive(Debug, Clone)]
pub struct LocalProcesses {
    machine: String,
}

impl LocalProcesses {
    /// The processes that this one can see.
    pub fn new() -> Self {
        let read = |file: &str| std::fs::read_to_string(file).map(|text| text.trim().to_string()).unwrap_or_default();
        // Process ids mean something within one boot and one namespace only: containers of one machine do not see each other.
        let namespace = std::fs::read_link("/proc/self/ns/pid").map(|link| link.display().to_string()).unwrap_or_default();
        let (name, boot) = (read("/proc/sys/kernel/hostname"), read("/proc/sys/kernel/random/boot_id"));
        Self { machine: format!("{name}/{boot}/{namespace}") }
    }
}

impl Default for LocalProcesses {
    fn default() -> Self {
        Self::new()
    }
}

impl Processes for LocalProcesses {
    fn current(&self) -> Owner {
        let process = std::process::id();
        Owner { host: self.machine.clone(), process, started: started(process).unwrap_or(0) }
    }

    fn is_running(&self, owner: &Owner) -> Option<bool> {
        if owner.host != self.machine || owner.started == 0 || !Path::new("/proc/self/stat").exists() {
            return None;
        }
        Some(started(owner.process) == Some(owner.started))
    }
}

/// When `process` started, in clock ticks since boot; `None` if there is no such process.
fn started(process: u32) -> Option<u64> {
    start_of(&std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?)
}

/// Field 22 of `/proc/PID/stat` (proc(5)). The second field is a name in brackets that may hold blanks and brackets itself. A zombie runs no more.
fn start_of(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_runs_and_one_with_another_start_does_not() {
        let processes = LocalProcesses::new();
        let mut owner = processes.current();
        assert_eq!(processes.is_running(&owner), Some(true));
        owner.started += 1;
        assert_eq!(processes.is_running(&owner), Some(false));
        owner.host = "elsewhere".into();
        assert_eq!(processes.is_running(&owner), None);
    }

    #[test]
    fn the_start_is_found_behind_any_name_and_zombies_are_dead() {
        let fields = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        assert_eq!(start_of(&format!("7 (a) b (c)) {fields}")), Some(4711));
        assert_eq!(start_of(&format!("7 (a) {}", fields.replacen('S', "Z", 1))), None);
        assert_eq!(start_of("garbage"), None);
    }
}
