//! The processes that commands started. No process of a command outlives its time-out, wherever it went.
//!
//! A process group alone does not hold them: `setsid` leaves it, and so does a daemon that forks twice. So patchcored adopts processes that
//! lost their parent (it is the subreaper of its descendants). It finds the command of a process by the mark in its environment or by its
//! parents. If neither helps, it ends such an orphan when no command that may have started it can run any longer.
//!
//! When a command ends by itself, the processes that it leaves behind may run until its time-out: a reject stroke one second later is
//! intended. The daemon never touches its own children, the builds, and reaps only dead processes that nobody else waits for.

use crate::config::LONGEST_COMMAND;
use crate::platform::kernel;
use crate::platform::kernel::Process;
use parking_lot::{Mutex, MutexGuard};
use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, set_child_subreaper, waitpid};
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// The variable of the mark. Commands that run at the same time have different marks.
pub const MARK: &str = "PATCHCORED_INSPECTION_ID";
/// The pause between two looks, while there is something to find.
const LOOK: Duration = Duration::from_millis(500);
/// How long killed processes may take to end: in a hung system call, a process ends only when the call does.
const DEATH: Duration = Duration::from_secs(2);

/// One for the process: a reload does not end what the previous line's commands started.
static FAMILIES: LazyLock<Families> = LazyLock::new(Families::default);

#[derive(Default)]
struct Families {
    state: Mutex<State>,
    /// There is something to find.
    changed: Notify,
}

#[derive(Default)]
struct State {
    families: HashMap<String, Family>,
    /// Children without a family, and when they were first seen.
    strangers: HashMap<u32, Instant>,
    /// Dead children at the last look.
    dead: HashSet<u32>,
}

impl State {
    fn is_empty(&self) -> bool {
        self.families.is_empty() && self.strangers.is_empty() && self.dead.is_empty()
    }

    fn leads(&self, process: u32) -> bool {
        self.families.values().any(|family| family.leader == Some(process))
    }
}

struct Family {
    /// The command is starting or running.
    runs: bool,
    /// The process of the command.
    leader: Option<u32>,
    deadline: Instant,
}

/// A process below this one.
struct Member {
    process: Process,
    /// A child of the daemon, so the daemon must reap it.
    is_child: bool,
    family: Option<String>,
    /// The child of the daemon that it descends from, or itself.
    root: u32,
}

/// From here on, this process adopts orphans.
pub fn adopt_orphans() {
    if let Err(error) = set_child_subreaper(Some(getpid())) {
        tracing::warn!(%error, "processes that a command of on_ng leaves behind are not found when they have left its group");
    }
}

/// A running command. Dropped when it has ended.
pub struct Running {
    mark: String,
}

/// A command with this mark is about to start. It and the processes it starts may run until the deadline.
pub fn starts(mark: &str, deadline: Instant) -> Running {
    lock().families.insert(mark.to_owned(), Family { runs: true, leader: None, deadline });
    Running { mark: mark.to_owned() }
}

impl Running {
    /// This is the command's process.
    pub fn led_by(&self, process: u32) {
        if let Some(family) = lock().families.get_mut(&self.mark) {
            family.leader = Some(process);
        }
    }

    /// Ends the whole family now.
    pub async fn kill(&self) {
        let mark = self.mark.clone();
        let killing = tokio::task::spawn_blocking(move || end(|member| member.family.as_deref() == Some(mark.as_str())));
        let _ = killing.await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(family) = lock().families.get_mut(&self.mark) {
            (family.runs, family.leader) = (false, None);
        }
        FAMILIES.changed.notify_one();
    }
}

/// Ends left-behind processes that are past their time, until it is aborted.
pub async fn watch() {
    loop {
        let looks = tokio::task::spawn_blocking(sweep).await.unwrap_or(false);
        if looks {
            tokio::time::sleep(LOOK).await;
        } else {
            FAMILIES.changed.notified().await;
        }
    }
}

/// Ends all left-behind processes; for the end of the daemon.
pub async fn end_all() {
    if lock().is_empty() {
        return;
    }
    let _ = tokio::task::spawn_blocking(|| end(|member| member.family.is_some())).await;
}

/// One look. True when there is something left to find.
fn sweep() -> bool {
    if lock().is_empty() {
        return false;
    }
    let members = members();
    let now = Instant::now();
    let mut state = lock();
    let dead: HashSet<u32> = members.iter().filter(|member| member.is_child && member.process.is_dead).map(|m| m.process.id).collect();
    // The starter of a child waits for it at once. So a child that stays dead for two looks is an orphan.
    for id in dead.intersection(&state.dead).filter(|id| !state.leads(**id)) {
        if let Some(id) = pid(*id) {
            let _ = waitpid(Some(id), WaitOptions::NOHANG);
        }
    }
    let strangers: HashSet<u32> = members.iter().filter(|member| is_stranger(member)).map(|member| member.root).collect();
    state.strangers.retain(|id, _| strangers.contains(id));
    for id in strangers {
        state.strangers.entry(id).or_insert(now);
    }
    let is_over = |member: &Member| match &member.family {
        Some(mark) => state.families.get(mark).is_none_or(|family| now >= family.deadline),
        None => state.strangers.get(&member.root).is_some_and(|since| now.duration_since(*since) >= LONGEST_COMMAND),
    };
    for member in members.iter().filter(|member| !member.process.is_dead && is_over(member)) {
        kill(member);
    }
    let alive: HashSet<&str> = members.iter().filter(|m| !m.process.is_dead).filter_map(|m| m.family.as_deref()).collect();
    state.families.retain(|mark, family| family.runs || alive.contains(mark.as_str()));
    state.dead = dead;
    state.families.values().any(|family| !family.runs) || !state.strangers.is_empty() || !state.dead.is_empty()
}

/// Kills these processes again and again until none is left, because some may be about to start children.
fn end(which: impl Fn(&Member) -> bool) {
    let begin = Instant::now();
    loop {
        let members = members();
        let left: Vec<&Member> = members.iter().filter(|member| !member.process.is_dead && which(member)).collect();
        if left.is_empty() || begin.elapsed() > DEATH {
            return;
        }
        left.into_iter().for_each(kill);
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn kill(member: &Member) {
    if let Some(id) = pid(member.process.id) {
        let _ = kill_process(id, Signal::KILL);
    }
}

/// A child without a family that is not of this program. Builds and commands that are just starting are of this program.
fn is_stranger(member: &Member) -> bool {
    member.is_child && member.family.is_none() && !member.process.is_dead && !kernel::runs_this_program(member.process.id)
}

/// All descendants of this process, parents first. Reads files of every process of the machine, which takes milliseconds.
fn members() -> Vec<Member> {
    let leaders: HashMap<u32, String> = lock().families.iter().filter_map(|(mark, family)| Some((family.leader?, mark.clone()))).collect();
    let mut children: HashMap<u32, Vec<Process>> = HashMap::new();
    for process in kernel::processes() {
        children.entry(process.parent).or_default().push(process);
    }
    let mut found: Vec<Member> = Vec::new();
    let mut open: Vec<(u32, Option<String>, Option<u32>)> = vec![(std::process::id(), None, None)];
    while let Some((parent, family, root)) = open.pop() {
        for process in children.remove(&parent).unwrap_or_default() {
            let own = leaders.get(&process.id).cloned().or_else(|| kernel::variable(process.id, MARK)).or_else(|| family.clone());
            let root = root.unwrap_or(process.id);
            open.push((process.id, own.clone(), Some(root)));
            found.push(Member { is_child: root == process.id, process, family: own, root });
        }
    }
    found
}

fn pid(id: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(id).ok()?)
}

fn lock() -> MutexGuard<'static, State> {
    FAMILIES.state.lock()
}
