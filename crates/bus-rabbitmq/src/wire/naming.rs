//! Names as MassTransit forms them: exchanges, message URNs, and the way back from a URN to a kind of ours. Beside them the
//! names that are the program's own.

/// Where MassTransit's own types live.
const FAULT: &str = "MassTransit:Fault";

/// MassTransit's fault of a message that could not be read.
const RECEIVE_FAULT: &str = "MassTransit:ReceiveFault";

/// How a message URN begins.
const URN: &str = "urn:message:";

/// Names within one .NET namespace, and those of one program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naming {
    namespace: String,
    program: String,
    attempt_header: String,
    put_back_header: String,
}

impl Naming {
    /// Names for the contracts of this namespace, as this program uses them. The program's name is lower case.
    pub fn new(namespace: impl Into<String>, program: impl Into<String>) -> Self {
        let program = program.into();
        let named = |what: &str| titled(&program) + what;
        let (attempt_header, put_back_header) = (named("-Attempt"), named("-Put-Back"));
        Self { namespace: namespace.into(), attempt_header, put_back_header, program }
    }

    /// The program's name.
    #[must_use]
    pub fn program(&self) -> &str {
        &self.program
    }

    /// The header that says how often handling a message has failed so far. Not MassTransit's `MT-Redelivery-Count`: a consumer
    /// there that redelivers takes that many steps of its own policy as used up, whoever wrote it; and what it counted is no
    /// failure of ours.
    #[must_use]
    pub fn attempt_header(&self) -> &str {
        &self.attempt_header
    }

    /// The header of a message that a person has put back from an error queue.
    #[must_use]
    pub fn put_back_header(&self) -> &str {
        &self.put_back_header
    }

    /// What is named as the type of the exception when the time of a message has passed.
    #[must_use]
    pub fn expired_type(&self) -> String {
        titled(&self.program) + ".MessageExpired"
    }

    /// What is named as the type of the exception when a message cannot be read.
    #[must_use]
    pub fn unreadable_type(&self) -> String {
        titled(&self.program) + ".MessageCannotBeRead"
    }

    /// What a fault names as the type of its exception.
    #[must_use]
    pub fn exception_type(&self) -> String {
        titled(&self.program) + ".MessageCannotBeHandled"
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
    pub fn nowhere_exchange(&self) -> String {
        format!("{}_handled", self.program)
    }

    /// The exchange that says that the virtual host belongs to one database.
    #[must_use]
    pub fn database_exchange(&self) -> String {
        format!("{}_database", self.program)
    }

    /// The exchange that names the database to which it belongs.
    #[must_use]
    pub fn database_exchange_of(database: uuid::Uuid) -> String {
        format!("database_{database}")
    }

    /// The type of a kind as .NET writes it. Some look at nothing else to tell what a message is.
    #[must_use]
    pub fn type_name(&self, kind: &str) -> String {
        [&self.namespace, ".", kind].concat()
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

    /// The types of the fault of a type, most special first.
    #[must_use]
    pub fn fault_urns_of(urn: &str) -> [String; 2] {
        let named = urn.strip_prefix(URN).unwrap_or(urn);
        [format!("{URN}{FAULT}[[{named}]]"), format!("{URN}{FAULT}")]
    }

    /// The types of the fault of a message of which not even the type can be read, most special first.
    #[must_use]
    pub fn receive_fault_urns() -> [String; 2] {
        [format!("{URN}{RECEIVE_FAULT}"), format!("{URN}{FAULT}")]
    }

    /// The exchange to which these are published.
    #[must_use]
    pub const fn receive_fault_exchange() -> &'static str {
        RECEIVE_FAULT
    }

    /// Whether a type is that of a fault.
    #[must_use]
    pub fn is_fault(urn: &str) -> bool {
        urn.strip_prefix(URN).is_some_and(|named| named.starts_with(FAULT) || named == RECEIVE_FAULT)
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

/// A name as .NET writes it: `shop` becomes `Shop`.
fn titled(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
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
        Naming::new("Shop", "shop").kind(&types, kinds)
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
    fn a_program_signs_with_its_name() {
        let naming = Naming::new("Shop.Contracts", "shop");
        assert_eq!(naming.attempt_header(), "Shop-Attempt");
        assert_eq!(naming.exception_type(), "Shop.MessageCannotBeHandled");
        assert_eq!(
            (&*naming.nowhere_exchange(), &*naming.database_exchange()),
            ("shop_handled", "shop_database")
        );
    }

    #[test]
    fn a_nested_type_is_known_by_its_own_name() {
        assert_eq!(kind(&["urn:message:Shop.Contracts:Meters+A"], &["A"]), Some("A"));
        assert_eq!(kind(&["A", "urn:something:Shop:A"], &["A"]), None);
    }
}
