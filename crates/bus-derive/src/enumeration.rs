//! An enum of messages: each variant holds one, and has its kinds.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DataEnum, DeriveInput, Error, Fields, Path, Type, Variant};

use crate::options::Options;

pub(crate) fn expand(input: &DeriveInput, data: &DataEnum, options: &Options) -> syn::Result<TokenStream> {
    let (name, bus) = (&input.ident, &options.bus);
    if let Some(kind) = &options.kind {
        return Err(Error::new_spanned(
            kind,
            "an enum has the kinds of its messages; give the kind to the variants",
        ));
    }
    if data.variants.is_empty() {
        return Err(Error::new_spanned(name, "an enum of messages has at least one variant"));
    }
    let arms = data.variants.iter().map(|variant| Arm::of(variant, bus)).collect::<syn::Result<Vec<_>>>()?;
    let kinds: Vec<_> = arms.iter().map(|arm| &arm.kinds).collect();
    let kind = arms.iter().map(|arm| &arm.kind);
    let encode = arms.iter().map(|arm| &arm.encode);
    let decode = arms.iter().map(|arm| &arm.decode);
    Ok(quote! {
        #[automatically_derived]
        impl #bus::Message for #name {
            const KINDS: &'static [&'static str] =
                &#bus::__private::all_kinds::<{ 0 #(+ #kinds.len())* }>(&[#(#kinds),*]);

            fn kind(&self) -> &'static str {
                match self {
                    #(#kind)*
                }
            }

            fn encode(&self) -> #bus::__private::Bytes {
                match self {
                    #(#encode)*
                }
            }

            fn decode(kind: &str, body: &[u8]) -> ::core::result::Result<Self, #bus::Fault> {
                #(#decode)*
                ::core::result::Result::Err(#bus::__private::unknown_kind(kind))
            }
        }
    })
}

/// What one variant adds to each part of the implementation.
struct Arm {
    kinds: TokenStream,
    kind: TokenStream,
    encode: TokenStream,
    decode: TokenStream,
}

impl Arm {
    fn of(variant: &Variant, bus: &Path) -> syn::Result<Self> {
        let (name, message) = (&variant.ident, message_of(variant)?);
        Ok(match Options::of(&variant.attrs)?.kind {
            Some(kind) => Self {
                kinds: quote!((&[#kind] as &'static [&'static str])),
                kind: quote!(Self::#name(_) => #kind,),
                encode: quote!(Self::#name(message) => #bus::to_json(message),),
                decode: quote! {
                    if kind == #kind {
                        return #bus::from_json(body).map(Self::#name);
                    }
                },
            },
            None => Self {
                kinds: quote!(<#message as #bus::Message>::KINDS),
                kind: quote!(Self::#name(message) => #bus::Message::kind(message),),
                encode: quote!(Self::#name(message) => #bus::Message::encode(message),),
                decode: quote! {
                    if <#message as #bus::Message>::KINDS.contains(&kind) {
                        return <#message as #bus::Message>::decode(kind, body).map(Self::#name);
                    }
                },
            },
        })
    }
}

fn message_of(variant: &Variant) -> syn::Result<&Type> {
    match &variant.fields {
        Fields::Unnamed(fields) if fields.unnamed.len() == 1 => Ok(&fields.unnamed[0].ty),
        Fields::Unnamed(_) | Fields::Named(_) | Fields::Unit => {
            let text = format!("a variant holds exactly one message: {}(Message)", variant.ident);
            Err(Error::new_spanned(variant, text))
        }
    }
}
