//! Lays the layers over each other, checks the whole, and reports everything that is wrong at once: unknown keys with what
//! was probably meant, values of the wrong kind, values that cannot work, and risks that the profile does not take.

use std::io::Read;

use serde::Deserialize;
use toml::Value;

use super::layer::{Layer, Rank, Said};
use super::risks::{Risk, Weight};
use super::schema::{FILE_SUFFIX, Schema};
use super::{Config, Overrides, Profile, Settings, environment, file, spelling};
use crate::conceal::conceal;

/// Characters of a secret's file; anything longer is some other file.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// Everything that is wrong with a configuration.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct Mistakes(pub Vec<String>);

/// A configuration that can be worked with, and what is risky about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The same, key by key.
    pub settings: Settings,
    /// What its profile takes, and tells.
    pub risks: Vec<Risk>,
}

impl Config {
    /// Reads and checks the whole.
    ///
    /// # Errors
    /// All mistakes at once: an unreadable or malformed file, unknown keys, values out of range, risks not taken.
    pub fn load(overrides: &Overrides) -> Result<Loaded, Mistakes> {
        Self::judged(overrides)
            .map_err(|mistakes| Mistakes(mistakes.iter().map(|mistake| one_line(mistake)).collect()))
    }

    fn judged(overrides: &Overrides) -> Result<Loaded, Vec<String>> {
        let schema = Schema::of_config();
        let mut mistakes = Vec::new();
        let mut said = settings(overrides, schema, &mut mistakes);
        expose_files(&mut said, schema, &mut mistakes);
        said.0.retain(|path, said| match complaint(path, said, schema) {
            Some(mistake) => {
                mistakes.push(mistake);
                false
            }
            None => true,
        });
        let settings = Settings::of(&said);
        let config = match Self::deserialize(Value::Table(said.into_table())) {
            Ok(config) => config,
            Err(error) => {
                mistakes.push(error.to_string());
                return Err(mistakes);
            }
        };
        mistakes.extend(config.mistakes());
        let (refused, risks): (Vec<Risk>, Vec<Risk>) =
            config.risks().into_iter().partition(|risk| risk.weight == Weight::Refused);
        mistakes.extend(refused.into_iter().map(|risk| risk.text));
        if mistakes.is_empty() { Ok(Loaded { config, settings, risks }) } else { Err(mistakes) }
    }
}

/// Whatever somebody has written into a name or a value, a mistake is told in one line.
fn one_line(text: &str) -> String {
    conceal(text).replace(char::is_control, " ")
}

/// Image or package, profile, file, environment and flags, in this order. A file that cannot be read is a mistake, and is left out.
fn settings(overrides: &Overrides, schema: &Schema, mistakes: &mut Vec<String>) -> Layer {
    let mut chosen = Layer::default();
    if let Some(path) = &overrides.file {
        match file::read(path) {
            Ok(layer) => chosen.lay(layer),
            Err(mistake) => mistakes.push(mistake),
        }
    }
    chosen.lay(environment::read(&overrides.environment, schema, mistakes));
    for (key, value, flag) in overrides.flags() {
        let value = environment::of_text(&value, key, schema);
        chosen.say(key.to_owned(), value, flag.to_owned(), Rank::Flags);
    }
    if let Some(profile) = overrides.profile {
        let value = Value::String(profile.as_str().to_owned());
        chosen.say("profile".to_owned(), value, "--profile".to_owned(), Rank::Flags);
    }
    let mut all = environment::packaged(&overrides.environment, schema, mistakes);
    let said = chosen.0.get("profile").or_else(|| all.0.get("profile"));
    let named = said.and_then(|said| Profile::named(said.value.as_str()?));
    all.lay(of_profile(named.unwrap_or_default()));
    all.lay(chosen);
    all
}

fn of_profile(profile: Profile) -> Layer {
    let name = format!("profile {}", profile.as_str());
    file::parse(&name, profile.defaults(), Rank::Profile)
        .expect("a test holds that the profiles are well-formed")
}

/// Puts the secrets in place that lie in files.
fn expose_files(said: &mut Layer, schema: &Schema, mistakes: &mut Vec<String>) {
    for key in schema.secrets() {
        let file_key = format!("{key}{FILE_SUFFIX}");
        let Some(named) = said.0.remove(&file_key) else { continue };
        match said.0.get(&key) {
            Some(itself) if itself.rank > named.rank => continue,
            Some(itself) if itself.rank == named.rank => {
                mistakes.push(environment::twice(&key, &itself.place, &named.place));
                continue;
            }
            Some(_) | None => {}
        }
        match secret_in(&file_key, &named) {
            Ok(text) => {
                let value = environment::of_text(&text, &key, schema);
                said.say(key, value, named.place, named.rank);
            }
            Err(mistake) => mistakes.push(mistake),
        }
    }
}

fn secret_in(file_key: &str, named: &Said) -> Result<String, String> {
    let place = &named.place;
    let Some(path) = named.value.as_str() else {
        return Err(format!("{place}: {file_key} is not a text in quotes"));
    };
    let told = |why: &dyn std::fmt::Display| format!("{place}: {file_key} = '{path}' cannot be read: {why}");
    // What is no file may have no end.
    let opened = std::fs::File::open(path).map_err(|error| told(&error))?;
    let mut text = String::new();
    opened.take(SECRET_BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| told(&error))?;
    if text.len() as u64 > SECRET_BYTES_MAX {
        return Err(told(&format!("it has more than {SECRET_BYTES_MAX} bytes, which no secret has")));
    }
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() { Err(told(&"it is empty")) } else { Ok(text.to_owned()) }
}

/// What is wrong with a key or the form of its value.
fn complaint(path: &str, said: &Said, schema: &Schema) -> Option<String> {
    let place = &said.place;
    if schema.kind(path).is_some() {
        return schema.mismatch(path, &said.value).map(|mistake| format!("{place}: {mistake}"));
    }
    let keys = schema.keys();
    let elsewhere = |key: &&String| last(key) == last(path);
    let meant = spelling::nearest(path, keys.iter().map(String::as_str))
        .or_else(|| keys.iter().find(elsewhere).map(String::as_str));
    let hint = match meant {
        Some(key) => format!("; did you mean {key}?"),
        None => "; `orderwright config default` lists every key".to_owned(),
    };
    Some(format!("{place}: there is no key {path}{hint}"))
}

fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}
