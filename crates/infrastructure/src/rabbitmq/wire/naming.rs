//! Names as MassTransit forms them: exchanges, message URNs, and the way back from a URN to a kind of ours.

/// Where MassTransit's own types live.
const FAULT: &str = "MassTransit:Fault";

/// How a message URN begins.
const URN: &str = "urn:message:";

/// Names within one .NET namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naming {
    namespace: String,
}

impl Naming {
    /// Names for the contracts of this namespace.
    pub fn new(namespace: impl Into<String>) -> Self {
        Self { namespace: namespace.into() }
    }

    /// The exchange to which messages of a kind are published.
    #[must_use]
    pub fn exchange(&self, kind: &str) -> String {
        [&self.namespace, ":", kind].concat()
    }

    /// The exchange to which the faults of a kind are published.
    #[must_use]
    pub fn fault_exchange(&self, kind: &str) -> String {
        format!("{FAULT}--{}:{kind}--", self.namespace)
    }

    /// The exchange to which the exchanges of all faults lead.
    #[must_use]
    pub const fn all_faults_exchange() -> &'static str {
        FAULT
    }

    /// The exchange, and the queue of the same name, for what a queue could not take.
    #[must_use]
    pub fn error_queue(queue: &str) -> String {
        format!("{queue}_error")
    }

    /// The exchange between those of the kinds that a queue wants and the queue's own.
    #[must_use]
    pub fn inbox_exchange(queue: &str) -> String {
        format!("{queue}_inbox")
    }

    /// Where news goes that a queue does not need.
    #[must_use]
    pub const fn nowhere_exchange() -> &'static str {
        "orderwright_handled"
    }

    /// The exchange that says that the virtual host belongs to one database.
    #[must_use]
    pub const fn database_exchange() -> &'static str {
        "orderwright_database"
    }

    /// The exchange that names the database to which it belongs.
    #[must_use]
    pub fn database_exchange_of(database: uuid::Uuid) -> String {
        format!("database_{database}")
    }

    /// The type of a kind.
    #[must_use]
    pub fn urn(&self, kind: &str) -> String {
        [URN, &self.namespace, ":", kind].concat()
    }

    /// The types of the fault of a kind, most special first.
    #[must_use]
    pub fn fault_urns(&self, kind: &str) -> [String; 2] {
        [format!("{URN}{FAULT}[[{}:{kind}]]", self.namespace), format!("{URN}{FAULT}")]
    }

    /// The first of these kinds that a message with these types is: of our own namespace rather than of another one, and
    /// otherwise in the order in which the sender names its types.
    pub fn kind<'k>(&self, types: &[String], kinds: &[&'k str]) -> Option<&'k str> {
        let offered: Vec<(&str, &str)> = types.iter().filter_map(|urn| split(urn)).collect();
        let wanted = |name: &str| kinds.iter().copied().find(|kind| *kind == name);
        let ours = offered.iter().filter(|(namespace, _)| *namespace == self.namespace);
        ours.chain(&offered).find_map(|(_, name)| wanted(name))
    }
}

/// Namespace and name of a message type; of a nested type its own name. A sender may leave out the namespace, or add an
/// assembly.
fn split(urn: &str) -> Option<(&str, &str)> {
    let mut parts = urn.strip_prefix(URN)?.split(':');
    let (namespace, name) = match (parts.next()?, parts.next()) {
        (name, None) => ("", name),
        (namespace, Some(name)) => (namespace, name),
    };
    Some((namespace, name.rsplit_once('+').map_or(name, |(_, inner)| inner)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind<'k>(types: &[&str], kinds: &[&'k str]) -> Option<&'k str> {
        let types: Vec<String> = types.iter().map(|urn| (*urn).to_owned()).collect();
        Naming::new("Shop").kind(&types, kinds)
    }

    #[test]
    fn a_type_of_our_namespace_goes_before_one_of_another() {
        let types = ["urn:message:Other:B", "urn:message:Shop:A"];
        assert_eq!(kind(&types, &["A", "B"]), Some("A"));
        assert_eq!(kind(&types, &["B"]), Some("B"));
        assert_eq!(kind(&types, &["C"]), None);
    }

    #[test]
    fn a_type_without_a_namespace_or_with_an_assembly_is_known() {
        assert_eq!(kind(&["urn:message:A"], &["A"]), Some("A"));
        assert_eq!(kind(&["urn:message:Shop:A:Shop.Assembly"], &["A"]), Some("A"));
        assert_eq!(kind(&["urn:message:MassTransit:Fault[[Shop:A]]"], &["A"]), None);
    }

    #[test]
    fn a_nested_type_is_known_by_its_own_name() {
        assert_eq!(kind(&["urn:message:Shop.Contracts:Orders+A"], &["A"]), Some("A"));
        assert_eq!(kind(&["A", "urn:something:Shop:A"], &["A"]), None);
    }
}
