//! Programs that only pretend, in a folder of a test's own that is gone afterwards.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub(super) struct Fakes(PathBuf);

impl Fakes {
    pub(super) fn new(name: &str) -> Self {
        let place = std::env::temp_dir().join(format!("orderwright-fakes-{name}-{}", std::process::id()));
        fs::create_dir_all(&place).unwrap();
        Self(place)
    }

    pub(super) fn place(&self) -> &Path {
        &self.0
    }

    /// Writes a script; returns the folder that it is in. A process of its own writes it: what this one writes, a child that
    /// another test starts at the same moment has open as well, and nobody can run a file that is being written.
    pub(super) fn script(&self, path: &str, text: &str) -> PathBuf {
        let script = self.0.join(path);
        let folder = script.parent().unwrap().to_owned();
        fs::create_dir_all(&folder).unwrap();
        let mut writer = Command::new("sh");
        writer.args(["-c", r#"cat > "$1" && chmod 755 "$1""#, "write"]).arg(&script).stdin(Stdio::piped());
        let mut writer = writer.spawn().unwrap();
        writer.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(writer.wait().unwrap().success());
        folder
    }
}

impl Drop for Fakes {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
