//! A private RabbitMQ node: on loopback, with ports, name, cookie, name server and data of its own, in a folder that goes with
//! it. Its virtual hosts are made at its first start, because a tool that made one later would take seconds each time.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail, ensure};

use super::guard::{Ends, Guard};
use super::log::await_word;
use super::programs::{self, RabbitMqPrograms};

/// User and password of every virtual host here.
const USER: &str = "orderwright";

/// Virtual hosts that a node is born with.
const VHOSTS: u32 = 24;

/// What names the members of a cluster in `rabbitmq.conf`.
const MEMBER: &str = "cluster_formation.classic_config.nodes";

/// How often a start is tried again while what is left of a killed node goes.
const STARTS_MAX: u32 = 5;

/// How the system writes that a connection stands, and that its other end is gone.
const OPEN_STATES: [&str; 2] = ["01", "08"];

/// A running node. It dies with this value.
#[derive(Debug)]
pub struct RabbitMq {
    programs: RabbitMqPrograms,
    folder: PathBuf,
    name: String,
    cookie: String,
    ports: Ports,
    running: Option<Running>,
    vhosts: AtomicU32,
}

#[derive(Clone, Copy, Debug)]
struct Ports {
    amqp: u16,
    distribution: u16,
    name_server: u16,
}

/// The processes of a node. All are of the guard's group.
#[derive(Debug)]
struct Running {
    name_server: Child,
    node: Child,
    guard: Guard,
}

/// Tells the folders of one process apart.
static FOLDERS: AtomicU32 = AtomicU32::new(0);

impl RabbitMq {
    /// Starts a fresh node. Takes some seconds.
    ///
    /// # Errors
    /// Says what to install if there are no programs; otherwise what the node said.
    pub fn start() -> Result<Self> {
        Self::start_with("")
    }

    /// The same with more lines for its `rabbitmq.conf`.
    ///
    /// # Errors
    /// As for [`Self::start`].
    pub fn start_with(more: &str) -> Result<Self> {
        let mut node = Self::unstarted()?;
        node.prepare(more)?;
        node.restart()?;
        Ok(node)
    }

    /// Starts three nodes that are one cluster. The first has the name server of all, so it must outlive the others.
    ///
    /// # Errors
    /// As for [`Self::start`].
    pub fn start_three() -> Result<[Self; 3]> {
        let mut nodes = [Self::unstarted()?, Self::unstarted()?, Self::unstarted()?];
        let members: Vec<String> = (1..)
            .zip(&nodes)
            .map(|(number, node)| format!("{MEMBER}.{number} = {}", node.full_name()))
            .collect();
        let more =
            format!("cluster_formation.peer_discovery_backend = classic_config\n{}", members.join("\n"));
        let (cookie, name_server) = (nodes[0].cookie.clone(), nodes[0].ports.name_server);
        for node in &mut nodes {
            node.cookie.clone_from(&cookie);
            node.ports.name_server = name_server;
            node.prepare(&more)?;
            node.restart()?;
        }
        Ok(nodes)
    }

    fn unstarted() -> Result<Self> {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("orderwright-rabbitmq-{}-{number}", std::process::id());
        Ok(Self {
            programs: programs::rabbitmq()?,
            folder: std::env::temp_dir().join(&name),
            cookie: name.to_uppercase(),
            name,
            ports: Ports::free()?,
            running: None,
            vhosts: AtomicU32::new(0),
        })
    }

    fn full_name(&self) -> String {
        format!("{}@localhost", self.name)
    }

    /// The address of a virtual host that no other test has.
    ///
    /// # Errors
    /// When there are no more of them.
    pub fn vhost(&self) -> Result<String> {
        let number = self.vhosts.fetch_add(1, Ordering::Relaxed);
        ensure!(number < VHOSTS, "a node has {VHOSTS} virtual hosts; start another one");
        Ok(self.address(number))
    }

    /// The port on which it listens, on loopback.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.ports.amqp
    }

    /// The ids of its processes, and of the one that holds their group.
    #[must_use]
    pub fn pids(&self) -> BTreeSet<u32> {
        let Some(running) = &self.running else { return BTreeSet::new() };
        members(running.guard.group())
    }

    /// Kills every process of the node at once, as a loss of power would.
    pub fn kill9(&mut self) {
        drop(self.end());
    }

    /// The same; the guard is left, which still watches over the folder.
    fn end(&mut self) -> Option<Guard> {
        let Running { mut name_server, mut node, guard } = self.running.take()?;
        signal_group(guard.group(), "KILL");
        let _ = node.wait();
        let _ = name_server.wait();
        Some(guard)
    }

    /// Stops every process of the node where it stands: connections stay open and nothing answers.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Lets a frozen node go on.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    /// Has the node believe that it is short of memory: it reads no more from whoever publishes.
    ///
    /// # Errors
    /// What its tool said.
    pub fn raise_alarm(&self) -> Result<()> {
        self.tell(&["set_vm_memory_high_watermark", "0"])
    }

    /// Has the node find that its memory is enough.
    ///
    /// # Errors
    /// What its tool said.
    pub fn clear_alarm(&self) -> Result<()> {
        self.tell(&["set_vm_memory_high_watermark", "0.9"])
    }

    /// Loses every message that lies in a queue of the virtual host at this address.
    ///
    /// # Errors
    /// What its tool said.
    pub fn lose_messages(&self, address: &str) -> Result<()> {
        self.with_each_queue(address, "rabbit_amqqueue:purge(Q)")
    }

    /// Deletes every queue of the virtual host at this address, with what lies in it.
    ///
    /// # Errors
    /// What its tool said.
    pub fn delete_queues(&self, address: &str) -> Result<()> {
        self.with_each_queue(address, "rabbit_amqqueue:delete(Q, false, false, <<\"chaos\">>)")
    }

    /// Takes its quorum from every queue of the virtual host at this address: none of their members runs. Connections stay open.
    ///
    /// # Errors
    /// What its tool said.
    pub fn lose_quorum(&self, address: &str) -> Result<()> {
        self.with_each_queue(address, "ra:stop_server(quorum_queues, amqqueue:get_pid(Q))")
    }

    /// Gives it back.
    ///
    /// # Errors
    /// What its tool said.
    pub fn find_quorum(&self, address: &str) -> Result<()> {
        self.with_each_queue(address, "ra:restart_server(quorum_queues, amqqueue:get_pid(Q))")
    }

    /// All in one go: the tool takes seconds each time.
    fn with_each_queue(&self, address: &str, deed: &str) -> Result<()> {
        let vhost = address.rsplit('/').next().unwrap_or_default();
        let deeds = format!("[{deed} || Q <- rabbit_amqqueue:list(<<\"{vhost}\">>)].");
        self.tell(&["eval", &deeds])
    }

    /// Lets the user of the virtual host at this address configure, write and read what these patterns fit. Counts for connections
    /// that are opened from now on.
    ///
    /// # Errors
    /// What its tool said.
    pub fn permit(&self, address: &str, [configure, write, read]: [&str; 3]) -> Result<()> {
        let vhost = address.rsplit('/').next().unwrap_or_default();
        self.tell(&["set_permissions", "-p", vhost, USER, configure, write, read])
    }

    /// Lets nobody in any more, and turns out whoever is in.
    ///
    /// # Errors
    /// What its tool said.
    pub fn lock_out(&self) -> Result<()> {
        self.tell(&["change_password", USER, "another"])?;
        self.tell(&["close_all_connections", "--global", "the password has changed"])
    }

    /// Lets everybody in again.
    ///
    /// # Errors
    /// What its tool said.
    pub fn let_in(&self) -> Result<()> {
        self.tell(&["change_password", USER, USER])
    }

    /// Connections that the node has open, with those whose other end is gone while it does not look. Sees what the system
    /// knows, and asks nobody.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn connections(&self) -> Result<usize> {
        let table = fs::read_to_string("/proc/net/tcp").context("reading the system's connections")?;
        let own = format!(":{:04X}", self.ports.amqp);
        let is_open = |line: &str| {
            let mut fields = line.split_whitespace().skip(1);
            let (local, _, state) = (fields.next(), fields.next(), fields.next());
            local.is_some_and(|local| local.ends_with(&own))
                && state.is_some_and(|state| OPEN_STATES.contains(&state))
        };
        Ok(table.lines().filter(|line| is_open(line)).count())
    }

    /// What the node itself says of its release, and of Erlang's.
    ///
    /// # Errors
    /// What its tool said.
    pub fn release(&self) -> Result<String> {
        let words =
            "lists:concat([rabbit_misc:version(), \" on Erlang \", erlang:system_info(otp_release)]).";
        Ok(self.ask(&["eval", words])?.trim().trim_matches('"').to_owned())
    }

    fn tell(&self, words: &[&str]) -> Result<()> {
        self.ask(words).map(drop)
    }

    /// Has the node's tool tell it something, and returns the answer. Takes a second or two.
    fn ask(&self, words: &[&str]) -> Result<String> {
        let mut tool = Command::new(self.programs.server.with_file_name("rabbitmqctl"));
        let said = self.at_home(&mut tool).args(words).output().context("running rabbitmqctl")?;
        let text = || String::from_utf8_lossy(&[said.stdout.as_slice(), &said.stderr].concat()).into_owned();
        ensure!(said.status.success(), "rabbitmqctl {} failed:\n{}", words.join(" "), text());
        String::from_utf8(said.stdout).context("the answer is text")
    }

    fn signal(&self, signal: &str) {
        if let Some(running) = &self.running {
            signal_group(running.guard.group(), signal);
        }
    }

    /// Starts the node again on the same data and ports.
    ///
    /// # Errors
    /// What the node said.
    pub fn restart(&mut self) -> Result<()> {
        let _before = self.end();
        let mut log = Vec::new();
        for _ in 0..STARTS_MAX {
            match self.try_start()? {
                Ok(running) => {
                    self.running = Some(running);
                    return Ok(());
                }
                Err(said) => log = said,
            }
        }
        bail!("the RabbitMQ node does not start:\n{}", log.join("\n"))
    }

    fn address(&self, number: u32) -> String {
        format!("amqp://{USER}:{USER}@127.0.0.1:{}/test_{number}", self.ports.amqp)
    }

    fn prepare(&self, more: &str) -> Result<()> {
        for part in ["home", "log", "data"] {
            fs::create_dir_all(self.folder.join(part)).context("making the node's folder")?;
        }
        let cookie = self.folder.join("home/.erlang.cookie");
        self.write("home/.erlang.cookie", &self.cookie)?;
        fs::set_permissions(&cookie, fs::Permissions::from_mode(0o400)).context("closing the cookie")?;
        self.write("plugins", "[].\n")?;
        self.write("environment", "")?;
        self.write("definitions.json", &definitions())?;
        self.write("rabbitmq.conf", &format!("{}{more}\n", self.settings()))
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        fs::write(self.folder.join(name), text).with_context(|| format!("writing the node's file {name}"))
    }

    fn settings(&self) -> String {
        format!(
            "listeners.tcp.1 = 127.0.0.1:{}\n\
             load_definitions = {}\n\
             loopback_users = none\n\
             log.file = false\n\
             log.console = true\n\
             log.console.level = info\n\
             disk_free_limit.absolute = 10MB\n",
            self.ports.amqp,
            self.folder.join("definitions.json").display(),
        )
    }

    /// Starts the processes and waits for the node's word that it is ready; or for its end, with what it said.
    fn try_start(&self) -> Result<Result<Running, Vec<String>>> {
        let guard = Guard::over(&self.folder, Ends::Killed)?;
        let name_server = self.name_server().process_group(guard.group()).spawn().context("starting epmd")?;
        let node = self.node(guard.group()).spawn().context("starting rabbitmq-server");
        let mut running = match node {
            Ok(node) => Running { name_server, node, guard },
            Err(error) => {
                signal_group(guard.group(), "KILL");
                return Err(error);
            }
        };
        let log = running.node.stdout.take().context("the node's log is piped")?;
        match await_word(log, "Server startup complete") {
            Ok(()) => Ok(Ok(running)),
            Err(said) => {
                signal_group(running.guard.group(), "KILL");
                let _ = running.node.wait();
                let _ = running.name_server.wait();
                Ok(Err(said))
            }
        }
    }

    fn name_server(&self) -> Command {
        let mut epmd = Command::new(&self.programs.epmd);
        epmd.args(["-port", &self.ports.name_server.to_string(), "-address", "127.0.0.1"]);
        epmd.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        epmd
    }

    fn node(&self, group: i32) -> Command {
        let mut server = Command::new(&self.programs.server);
        let in_folder = |name: &str| self.folder.join(name);
        self.at_home(&mut server)
            .env("RABBITMQ_CONFIG_FILE", in_folder("rabbitmq.conf"))
            .env("RABBITMQ_MNESIA_BASE", in_folder("data"))
            .env("RABBITMQ_LOG_BASE", in_folder("log"))
            .env("RABBITMQ_LOGS", "-")
            .env("RABBITMQ_PID_FILE", in_folder("pid"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", in_folder("plugins"))
            .env("RABBITMQ_DIST_PORT", self.ports.distribution.to_string())
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1}");
        server.process_group(group).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        server
    }

    /// What node and tool have in common: whose they are, and how they find each other.
    fn at_home<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .current_dir(&self.folder)
            .env("HOME", self.folder.join("home"))
            .env("LC_ALL", "C.UTF-8")
            .env("ERL_EPMD_PORT", self.ports.name_server.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_CONF_ENV_FILE", self.folder.join("environment"))
            .env("RABBITMQ_NODENAME", self.full_name())
    }
}

impl Drop for RabbitMq {
    fn drop(&mut self) {
        let _guard = self.end();
        // What a dying process is still writing may appear again once.
        for _ in 0..3 {
            if fs::remove_dir_all(&self.folder).is_ok() {
                return;
            }
        }
    }
}

impl Ports {
    /// Three that are free, all held until the last is found.
    fn free() -> Result<Self> {
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(TcpListener::bind(("127.0.0.1", 0)).context("looking for a free port")?);
        }
        let port = |at: usize| -> Result<u16> {
            let listener: &TcpListener = &held[at];
            Ok(listener.local_addr().context("asking for the port found")?.port())
        };
        Ok(Self { amqp: port(0)?, distribution: port(1)?, name_server: port(2)? })
    }
}

/// The user and the virtual hosts that a node is born with.
fn definitions() -> String {
    let names: Vec<String> = (0..VHOSTS).map(|number| format!("test_{number}")).collect();
    let vhosts: Vec<_> = names.iter().map(|name| serde_json::json!({ "name": name })).collect();
    let all = |name: &String| serde_json::json!({ "user": USER, "vhost": name, "configure": ".*", "write": ".*", "read": ".*" });
    serde_json::json!({
        "users": [{ "name": USER, "password": USER, "tags": "administrator" }],
        "vhosts": vhosts,
        "permissions": names.iter().map(all).collect::<Vec<_>>(),
    })
    .to_string()
}

fn signal_group(leader: i32, signal: &str) {
    let _ =
        Command::new("kill").args(["-s", signal, "--", &format!("-{leader}")]).stderr(Stdio::null()).status();
}

/// The processes whose group is `leader`.
fn members(leader: i32) -> BTreeSet<u32> {
    let Ok(processes) = fs::read_dir("/proc") else { return BTreeSet::new() };
    let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| group_of(*pid) == Some(leader)).collect()
}

/// The fifth field of a process's `stat`, counted from behind the name, which may hold anything.
fn group_of(pid: u32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(2)?.parse().ok()
}
