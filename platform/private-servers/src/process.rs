//! A server as a child process that cannot outlive its parent.
//!
//! A server runs in the process group of a *guard*: a shell that waits for the end of its standard
//! input, whose other end only the parent holds. However the parent ends, the pipe closes, and the
//! guard ends the group. The kernel's parent-death signal would do the same, but only on Linux, only
//! through unsafe code, and it fires when the *thread* ends that started the child.
//!
//! The group of its own also keeps a terminal's Ctrl-C away from the server, so that the parent can
//! first stop what uses it.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Seek, SeekFrom},
    os::unix::{fs::OpenOptionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::io::AsyncWriteExt as _;

use crate::{Error, folder::Folder};

/// The guard's script. It ignores the signals that it sends to its own group before the last one.
/// SIGQUIT makes PostgreSQL end at once with all its children, which are not in the group.
const GUARD: &str = "trap '' HUP INT QUIT TERM; read -r _; kill -QUIT 0; sleep 3; kill -KILL 0";
/// How often a process is looked at while its end is awaited.
const POLL: Duration = Duration::from_millis(10);
/// How long the end of killed processes is awaited: the kernel needs moments, unless a disk hangs.
const KILLED_WAIT: Duration = Duration::from_secs(10);
/// How much of a log an error shows.
const TAIL_BYTES_MAX: u64 = 3_000;
/// A log longer than this is emptied at the next start.
const LOG_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// A log file, and where the present run's part of it begins.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    pub(crate) path: PathBuf,
    begin: u64,
}

impl Log {
    /// Opens the log for a new run.
    pub(crate) fn open(path: PathBuf) -> Result<Log, Error> {
        let length = fs::metadata(&path).map_or(0, |found| found.len());
        let fresh = length > LOG_BYTES_MAX;
        if fresh {
            File::create(&path).map_err(Error::file("empty", &path))?;
        }
        Ok(Log { path, begin: if fresh { 0 } else { length } })
    }

    fn writer(&self) -> Result<File, Error> {
        // Not for others: statements with personal data may stand in it.
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&self.path)
            .map_err(Error::file("open", &self.path))
    }

    /// The end of what this run has written.
    pub(crate) fn tail(&self) -> String {
        let read = || -> std::io::Result<Vec<u8>> {
            let mut file = File::open(&self.path)?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(self.begin.max(length.saturating_sub(TAIL_BYTES_MAX))))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        read()
            .map_or_else(|error| format!("(unreadable: {error})"), |bytes| String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// A group of processes with a guard, into which servers are started.
#[derive(Debug)]
pub(crate) struct Group {
    guard: Child,
    members: Vec<Child>,
    over: bool,
}

impl Group {
    /// Starts the guard. It holds the folder's lock until the whole group is gone.
    pub(crate) fn new(folder: &Folder) -> Result<Group, Error> {
        let guard = Command::new("/bin/sh")
            .args(["-c", GUARD])
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(folder.share_lock()?)
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(|source| Error::Spawn { program: "/bin/sh".to_owned(), source })?;
        Ok(Group { guard, members: Vec::new(), over: false })
    }

    /// Starts a program in the group, with its output going to the log.
    pub(crate) fn start(&mut self, mut command: Command, log: &Log) -> Result<(), Error> {
        let program = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stdout(log.writer()?).stderr(log.writer()?);
        // A pid is positive and fits: the kernel says so.
        command.process_group(i32::try_from(self.guard.id()).unwrap_or_default());
        let child = command.spawn().map_err(|source| Error::Spawn { program, source })?;
        self.members.push(child);
        Ok(())
    }

    /// The process id of the program that was started last: the server.
    pub(crate) fn server_pid(&self) -> Option<u32> {
        self.members.last().map(Child::id)
    }

    /// How the server ended, when it has.
    pub(crate) fn server_exit(&mut self) -> Option<ExitStatus> {
        self.members.last_mut().and_then(|server| server.try_wait().ok().flatten())
    }

    /// Asks the server to end and waits; past the limit, and for whatever else is in the group, kills.
    /// Returns whether the server ended by itself.
    pub(crate) async fn stop(&mut self, signal: Signal, limit: Duration) -> bool {
        let mut ended = self.server_exit().is_some();
        if let Some(pid) = self.members.last().and_then(pid_of).filter(|_| !ended) {
            // An error means that it has just ended, which the loop finds out.
            let _ = kill_process(pid, signal);
            let asked = Instant::now();
            while !ended && asked.elapsed() < limit {
                tokio::time::sleep(POLL).await;
                ended = self.server_exit().is_some();
            }
        }
        self.kill();
        ended
    }

    /// Kills everything at once, also children that left the group, and waits until they are gone: they
    /// could otherwise still hold shared memory or ports when the server is started again. It blocks
    /// for the moments that the kernel needs.
    pub(crate) fn kill(&mut self) {
        if self.over {
            return;
        }
        self.over = true;
        // Stopped processes start no more children, so the list is complete.
        let pids: Vec<Pid> =
            self.members.iter_mut().filter_map(|child| if is_running(child) { pid_of(child) } else { None }).collect();
        for pid in &pids {
            let _ = kill_process(*pid, Signal::STOP);
        }
        let descendants = descendants(&pids);
        for pid in pids.iter().chain(&descendants) {
            let _ = kill_process(*pid, Signal::KILL);
        }
        if let Some(group) = pid_of(&self.guard) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        for child in self.members.iter_mut().chain([&mut self.guard]) {
            let _ = child.wait();
        }
        let killed = Instant::now();
        while descendants.iter().any(|pid| is_alive(*pid)) && killed.elapsed() < KILLED_WAIT {
            thread::sleep(POLL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs a program to its end and returns what it printed.
pub(crate) async fn run(command: Command) -> Result<String, Error> {
    run_with_input(command, "").await
}

/// Runs a program to its end with something to read, and returns what it printed.
pub(crate) async fn run_with_input(command: Command, input: &str) -> Result<String, Error> {
    let program = command.get_program().to_string_lossy().into_owned();
    let mut command = tokio::process::Command::from(command);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let run = async {
        let mut child = command.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // A program that ends without reading it says why by how it ends.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        child.wait_with_output().await
    };
    let output = run.await.map_err(|source| Error::Spawn { program: program.clone(), source })?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(printed);
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(Error::Failed { program, status: output.status.to_string(), output: format!("{printed}{complaint}") })
}

/// The name of a running process, where the system tells (Linux).
pub(crate) fn name_of(pid: u32) -> Option<String> {
    fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("comm")).ok().map(|name| name.trim().to_owned())
}

/// The folder that a running process works in, where the system tells (Linux) and this user may know.
pub(crate) fn folder_of(pid: u32) -> Option<PathBuf> {
    fs::read_link(Path::new("/proc").join(pid.to_string()).join("cwd")).ok()
}

fn pid_of(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

fn is_running(child: &mut Child) -> bool {
    matches!(child.try_wait(), Ok(None))
}

/// Whether a process exists and is more than an entry that waits to be collected.
fn is_alive(pid: Pid) -> bool {
    processes().into_iter().any(|process| process.pid == pid.as_raw_nonzero().get() && !process.ended)
}

/// The children of these processes, and theirs.
fn descendants(roots: &[Pid]) -> Vec<Pid> {
    let all = processes();
    let mut found: Vec<i32> = roots.iter().map(|pid| pid.as_raw_nonzero().get()).collect();
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(all.iter().filter(|process| process.parent == parent).map(|process| process.pid));
        next += 1;
    }
    found.into_iter().skip(roots.len()).filter_map(Pid::from_raw).collect()
}

struct Process {
    pid: i32,
    parent: i32,
    ended: bool,
}

/// All processes: from `/proc` where there is one, else from `ps`.
fn processes() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return processes_by_ps();
    };
    entries
        .filter_map(|entry| {
            let folder = entry.ok()?;
            let pid = folder.file_name().to_str()?.parse().ok()?;
            // `pid (name) state parent ...`, where the name may hold spaces and brackets.
            let line = fs::read_to_string(folder.path().join("stat")).ok()?;
            let mut fields = line.rsplit_once(')')?.1.split_whitespace();
            let ended = fields.next()? == "Z";
            Some(Process { pid, parent: fields.next()?.parse().ok()?, ended })
        })
        .collect()
}

fn processes_by_ps() -> Vec<Process> {
    let Ok(output) = Command::new("ps").args(["-A", "-o", "pid=,ppid=,state="]).output() else {
        return Vec::new();
    };
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace();
            let (pid, parent) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
            Some(Process { pid, parent, ended: fields.next()?.starts_with('Z') })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Place;

    async fn group_with(script: &str) -> (Group, Folder, Log) {
        let folder = Folder::open(&Place::Temporary, None).await.unwrap();
        let log = Log::open(folder.path().join("log")).unwrap();
        let mut group = Group::new(&folder).unwrap();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        group.start(command, &log).unwrap();
        (group, folder, log)
    }

    async fn wait_for(what: &str, condition: impl Fn() -> bool) {
        let started = Instant::now();
        while !condition() {
            assert!(started.elapsed() < Duration::from_secs(10), "{what} did not happen in 10 s");
            tokio::time::sleep(POLL).await;
        }
    }

    fn number_in(text: &str) -> Option<Pid> {
        text.trim().parse().ok().and_then(Pid::from_raw)
    }

    #[tokio::test]
    async fn a_kill_reaches_grandchildren_that_left_the_group() {
        let (mut group, _folder, log) = group_with("setsid sleep 1000 & echo $!; wait").await;
        wait_for("the line with the pid", || log.tail().ends_with('\n')).await;
        let grandchild = number_in(&log.tail()).unwrap();
        assert!(is_alive(grandchild));
        group.kill();
        assert!(!is_alive(grandchild));
    }

    #[tokio::test]
    async fn a_group_ends_when_its_parents_end_of_the_pipe_closes() {
        let (mut group, _folder, log) = group_with("trap '' QUIT; sleep 1000 & echo $!; wait").await;
        wait_for("the line with the pid", || log.tail().ends_with('\n')).await;
        let sleeper = number_in(&log.tail()).unwrap();
        drop(group.guard.stdin.take());
        wait_for("the end of the group", || !is_alive(sleeper)).await;
    }

    #[tokio::test]
    async fn a_server_that_ignores_the_request_to_stop_is_killed() {
        let (mut group, _folder, log) = group_with("trap '' TERM; echo ready; while :; do sleep 0.1; done").await;
        wait_for("the trap", || log.tail().contains("ready")).await;
        assert!(!group.stop(Signal::TERM, Duration::from_millis(50)).await);
        assert!(group.server_exit().is_some());
    }
}
