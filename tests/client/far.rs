//! A machine far away: a network namespace of its own at the end of a cable that can be made to swallow packets.
//!
//! The test's process runs itself once more in namespaces that it may lay cables in, without being root.

use std::env;
use std::process::Command;

use crate::support::data_dir::DataDir;
use crate::support::server::{ADMIN_KEYS, Server, binary};

/// Set where the namespaces are there already.
const INSIDE: &str = "TEST_IS_INSIDE";

const NEAR: &str = "10.77.0.1";
const FAR: &str = "10.77.0.2";
const PORT: u16 = 8080;

/// An address that no card has: what is sent to it is taken off the cable by nobody.
pub(crate) const NOBODY: &str = "02:00:00:00:00:77";

/// The far end. There is one in each process that runs inside.
pub(crate) struct Far;

/// Whether this process is the one that runs inside.
pub(crate) fn is_inside() -> bool {
    env::var_os(INSIDE).is_some()
}

/// Runs the test of that name once more, inside; fails where it fails.
pub(crate) fn run_inside(test: &str) {
    let this = env::current_exe().expect("a process knows its program");
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net", "--mount", "--kill-child"])
        .arg(this)
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .expect("this test needs `unshare` (package util-linux)");
    let said = String::from_utf8_lossy(&output.stdout);
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "in network namespaces of its own (which the system has to allow: user.max_net_namespaces, \
         kernel.unprivileged_userns_clone), the test failed:\n{said}\n{wrong}"
    );
}

impl Far {
    /// Lays the cable.
    pub(crate) fn new() -> Self {
        run("mount", "-t tmpfs tmpfs /run");
        run("ip", "netns add far");
        run("ip", "link add near type veth peer name far netns far");
        run("ip", "link set lo up");
        run("ip", &format!("addr add {NEAR}/24 dev near"));
        run("ip", "link set near up");
        run_far(&format!("ip addr add {FAR}/24 dev far"));
        run_far("ip link set lo up");
        run_far("ip link set far up");
        Self
    }

    /// Where a server at the far end is reached.
    pub(crate) fn address(&self) -> String {
        format!("{FAR}:{PORT}")
    }

    /// Starts a server at the far end.
    pub(crate) fn start_server(&self, data: &DataDir, setting: (&str, &str)) -> Server {
        let mut command = self.server(&[setting]);
        command.arg("--data-dir").arg(data.path());
        Server::spawn(command)
    }

    /// The command of a server at the far end, whose metrics can be read from here.
    pub(crate) fn server(&self, settings: &[(&str, &str)]) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg("--net=/run/netns/far")
            .arg(binary().get_program())
            .args(["--listen", &self.address(), "--admin-listen", &format!("{FAR}:0")])
            .envs([("UPROAR_AUTH__OPEN_TO_NETWORK", "true")])
            .envs([("UPROAR_SERVER__ADMIN_KEYS", ADMIN_KEYS)])
            // What one session sends at most is not what is looked at.
            .envs([("UPROAR_LIMITS__MESSAGES_PER_SEC", "0"), ("UPROAR_LIMITS__BYTES_PER_SEC", "0")])
            .envs(settings.iter().copied());
        command
    }

    /// From now on packets get lost, both ways. Nobody is told: no error, no end, and the link is up.
    pub(crate) fn cut(&self) {
        run("ip", &format!("neigh replace {FAR} lladdr {NOBODY} nud permanent dev near"));
        run_far(&format!("ip neigh replace {NEAR} lladdr {NOBODY} nud permanent dev far"));
    }

    /// Packets arrive again.
    pub(crate) fn mend(&self) {
        run_far(&format!("ip neigh del {NEAR} dev far"));
        run("ip", &format!("neigh del {FAR} dev near"));
    }
}

/// Runs a command at the far end.
pub(crate) fn run_far(command: &str) {
    run("nsenter", &format!("--net=/run/netns/far {command}"));
}

/// Runs a command at this end.
#[track_caller]
pub(crate) fn run(program: &str, arguments: &str) {
    let status = Command::new(program).args(arguments.split(' ')).status();
    let status = status.unwrap_or_else(|error| {
        panic!("this test needs `{program}` (packages iproute2, util-linux): {error}")
    });
    assert!(status.success(), "{program} {arguments}: {status}");
}
