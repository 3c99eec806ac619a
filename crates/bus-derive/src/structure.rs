//! A struct as a message.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, Error};

use crate::options::Options;

pub(crate) fn expand(input: &DeriveInput, options: &Options) -> syn::Result<TokenStream> {
    let (name, visibility, bus) = (&input.ident, &input.vis, &options.bus);
    let Some(kind) = &options.kind else {
        let text = format!("a message needs its kind: #[message(kind = \"{name}\")]");
        return Err(Error::new_spanned(name, text));
    };
    Ok(quote! {
        #[automatically_derived]
        impl #name {
            /// Its kind on the wire.
            #[allow(dead_code)]
            #visibility const KIND: &'static str = #kind;
        }

        #[automatically_derived]
        impl #bus::Message for #name {
            const KINDS: &'static [&'static str] = &[#name::KIND];

            fn kind(&self) -> &'static str {
                #name::KIND
            }

            fn encode(&self) -> #bus::__private::Bytes {
                #bus::to_json(self)
            }

            fn decode(_kind: &str, body: &[u8]) -> ::core::result::Result<Self, #bus::Fault> {
                #bus::from_json(body)
            }
        }
    })
}
