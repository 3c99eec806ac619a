//! The derive of messages; it makes code and decides nothing.
#![doc = include_str!("../README.md")]

mod enumeration;
mod options;
mod structure;

use proc_macro::TokenStream;
use syn::{Data, DeriveInput, Error};

use self::options::Options;

/// Makes a message of a struct, or of an enum of messages.
///
/// A struct says what its kind is on the wire, and implements serde's `Serialize` and `Deserialize`; its body is JSON. The
/// derive also gives it the constant `KIND`.
///
/// ```text
/// #[derive(Serialize, Deserialize, Message)]
/// #[message(kind = "MeterRead")]
/// struct MeterRead { kwh: i64 }
/// ```
///
/// Each variant of an enum holds one message and has its kinds. A variant with a kind of its own holds anything that serde
/// can read.
///
/// ```text
/// #[derive(Message)]
/// enum News {
///     Read(MeterRead),
///     #[message(kind = Meter::TIMER_KIND)]
///     Silent(TimerFired),
/// }
/// ```
#[proc_macro_derive(Message, attributes(message))]
pub fn derive_message(input: TokenStream) -> TokenStream {
    let input = syn::parse_macro_input!(input as DeriveInput);
    expand(&input).unwrap_or_else(|error| error.to_compile_error()).into()
}

fn expand(input: &DeriveInput) -> syn::Result<proc_macro2::TokenStream> {
    let options = Options::of(&input.attrs)?;
    if !input.generics.params.is_empty() {
        let text = "a message has no type parameters, because its kind says all about its body";
        return Err(Error::new_spanned(&input.generics, text));
    }
    match &input.data {
        Data::Struct(_) => structure::expand(input, &options),
        Data::Enum(data) => enumeration::expand(input, data, &options),
        Data::Union(_) => {
            Err(Error::new_spanned(&input.ident, "a message is a struct or an enum, not a union"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said_of(source: &str) -> String {
        let input = syn::parse_str(source).expect("it is Rust");
        expand(&input).expect_err("it is no message").to_string()
    }

    #[test]
    fn what_is_no_message_is_refused_with_what_is_missing() {
        for (source, expected) in [
            ("struct Read { kwh: i64 }", "a message needs its kind: #[message(kind = \"Read\")]"),
            ("#[message(kind)] struct Read;", "expected `=`"),
            ("#[message(name = \"Read\")] struct Read;", "unknown option; there are `kind` and `crate`"),
            ("#[message(kind = \"A\", kind = \"B\")] struct Read;", "the kind is given twice"),
            ("#[message(kind = \"A\")] struct Read<T>(T);", "a message has no type parameters"),
            ("#[message(kind = \"A\")] enum News { Read(Read) }", "give the kind to the variants"),
            ("enum News {}", "an enum of messages has at least one variant"),
            ("enum News { Read }", "a variant holds exactly one message: Read(Message)"),
            ("enum News { Read(Read, Other) }", "a variant holds exactly one message: Read(Message)"),
            ("enum News { Read { read: Read } }", "a variant holds exactly one message: Read(Message)"),
            ("union News { a: u8 }", "a message is a struct or an enum"),
        ] {
            let said = said_of(source);
            assert!(said.contains(expected), "{source}: {said}");
        }
    }
}
