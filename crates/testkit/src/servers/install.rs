//! Installs Debian's packages for their programs alone: no server of theirs runs afterwards, nor at the next start of the
//! system. Whatever was put somewhere for that is gone again, however the installation ends.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// Where Debian reads, when it installs PostgreSQL, whether to make a server of its own; nobody asked for that one.
const CLUSTER_WISHES: &str = "/etc/postgresql-common/createcluster.d";

/// What Debian asks, when it installs a service, whether that may be started.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// A shell does it, because it tidies up even if this process is killed meanwhile. Lists of packages that are missing or old are
/// fetched only when an installation fails without.
const SCRIPT: &str = r#"
policy=$1 package=$2
enabled() {
    if command -v systemctl > /dev/null; then
        systemctl list-unit-files --state=enabled --no-legend --plain | cut -d ' ' -f 1
    fi
}
install() {
    apt-get install -y --no-install-recommends "$package" > /dev/null
}
trap 'exit 1' HUP INT TERM
if ! [ -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\n# No service is started while the tests of orderwright install one.\nexit 101\n' > "$policy"
    chmod 755 "$policy"
fi
before=$(enabled)
install || { apt-get update > /dev/null && install; }
ended=$?
for unit in $(enabled); do
    printf '%s\n' "$before" | grep -qxF -- "$unit" || systemctl disable --quiet "$unit"
done
exit "$ended"
"#;

/// Installs a package.
///
/// # Errors
/// If that is not possible.
pub(super) fn install(package: &str) -> Result<()> {
    let status = installation(Path::new(POLICY), package).status().context("running a shell")?;
    ensure!(status.success(), "apt-get install {package} failed");
    Ok(())
}

/// The same of PostgreSQL, which would make a server of its own otherwise.
///
/// # Errors
/// As for [`install`].
pub(super) fn install_postgres() -> Result<()> {
    let wishes = Path::new(CLUSTER_WISHES);
    let was_there = wishes.exists();
    let wish = wishes.join("orderwright-tests.conf");
    fs::create_dir_all(wishes).and_then(|()| fs::write(&wish, "create_main_cluster = false\n"))?;
    let installed = install("postgresql");
    fs::remove_file(wish)?;
    if !was_there {
        fs::remove_dir(wishes)?;
    }
    installed
}

fn installation(policy: &Path, package: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", SCRIPT, "install"]).arg(policy).arg(package);
    shell.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    shell
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::fakes::Fakes;
    use super::*;

    /// Notes whether a service may be started, and leaves one that would start with the system.
    const APT_GET: &str = r#"#!/bin/sh
echo "$@" >> "$PLACE/asked"
if [ "$1" = update ]; then exit 0; fi
if "$PLACE/policy"; then echo started >> "$PLACE/services"; fi
printf 'new.service enabled enabled\n' >> "$PLACE/units"
exit "$ENDS"
"#;

    const SYSTEMCTL: &str = r#"#!/bin/sh
case $1 in
list-unit-files) cat "$PLACE/units" ;;
disable) echo "$3" >> "$PLACE/disabled" ;;
esac
"#;

    /// A system that pretends.
    struct System(Fakes);

    impl System {
        fn new(name: &str) -> Self {
            let fakes = Fakes::new(name);
            fakes.script("apt-get", APT_GET);
            fakes.script("systemctl", SYSTEMCTL);
            fs::write(fakes.place().join("units"), "old.service enabled enabled\n").unwrap();
            Self(fakes)
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.place().join(name)
        }

        /// Whether the installation of a package succeeds, for which apt-get ends with this.
        fn installs(&self, apt_get_ends: &str) -> bool {
            let path = format!("{}:{}", self.0.place().display(), std::env::var("PATH").unwrap());
            let mut installation = installation(&self.path("policy"), "a-package");
            installation.env("PATH", path).env("PLACE", self.0.place()).env("ENDS", apt_get_ends);
            installation.status().unwrap().success()
        }

        /// What is in a file.
        fn says(&self, name: &str) -> String {
            fs::read_to_string(self.path(name)).unwrap_or_default()
        }
    }

    #[test]
    fn what_is_installed_is_neither_started_nor_left_to_start_with_the_system() {
        let system = System::new("well");
        assert!(system.installs("0"));
        assert_eq!(system.says("asked"), "install -y --no-install-recommends a-package\n");
        assert_eq!(
            (system.says("services").as_str(), system.says("disabled").as_str()),
            ("", "new.service\n")
        );
        assert!(!system.path("policy").exists(), "others may start what they install");
    }

    #[test]
    fn an_installation_that_fails_is_tried_with_fresh_lists_and_leaves_nothing_behind() {
        let system = System::new("badly");
        assert!(!system.installs("100"));
        let install = "install -y --no-install-recommends a-package\n";
        assert_eq!(system.says("asked"), format!("{install}update\n{install}"));
        assert!(!system.path("policy").exists(), "others may start what they install");
        assert_eq!(
            (system.says("services").as_str(), system.says("disabled").as_str()),
            ("", "new.service\nnew.service\n")
        );
    }

    #[test]
    fn a_policy_of_the_system_stays_as_it_is() {
        let system = System::new("policy");
        system.0.script("policy", "#!/bin/sh\nexit 101\n");
        assert!(system.installs("0"));
        assert_eq!(
            (system.says("policy").as_str(), system.says("services").as_str()),
            ("#!/bin/sh\nexit 101\n", "")
        );
    }
}
