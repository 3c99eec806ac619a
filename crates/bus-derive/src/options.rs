//! What stands in `#[message(…)]`.

use syn::{Attribute, Expr, Path, parse_quote};

/// The options of a message or of a variant.
pub(crate) struct Options {
    /// Its kind on the wire.
    pub(crate) kind: Option<Expr>,
    /// The name of the bus where the message is declared.
    pub(crate) bus: Path,
}

impl Options {
    pub(crate) fn of(attributes: &[Attribute]) -> syn::Result<Self> {
        let mut options = Self { kind: None, bus: parse_quote!(bus) };
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("message")) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("kind") {
                    if options.kind.is_some() {
                        return Err(meta.error("the kind is given twice"));
                    }
                    options.kind = Some(meta.value()?.parse()?);
                    Ok(())
                } else if meta.path.is_ident("crate") {
                    options.bus = meta.value()?.parse()?;
                    Ok(())
                } else {
                    Err(meta.error("unknown option; there are `kind` and `crate`"))
                }
            })?;
        }
        Ok(options)
    }
}
