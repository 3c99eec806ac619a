//! The frame around every page: head, navigation, notice, foot.

use maud::{DOCTYPE, Markup, html};

use crate::assets;

/// An entry of the navigation.
#[derive(Clone, Copy, Debug)]
pub struct Link<'a> {
    /// The path below the base.
    pub path: &'a str,
    /// Its text.
    pub text: &'a str,
    /// A number beside it, such as what needs a person; none if there is nothing.
    pub count: Option<u64>,
}

/// What a notice is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// It was done.
    Done,
    /// It was not done, or only in part.
    Refused,
}

/// What came of the last action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whether it was done.
    pub tone: Tone,
    /// In words.
    pub text: String,
}

/// The frame of one page.
#[derive(Clone, Debug)]
pub struct Frame<'a> {
    /// The name of the service.
    pub service: &'a str,
    /// The path below which the pages are, without a slash at its end.
    pub base: &'a str,
    /// The title of this page.
    pub title: &'a str,
    /// The navigation.
    pub links: &'a [Link<'a>],
    /// The path of the entry that this page belongs to.
    pub here: &'a str,
    /// Who looks, and whether they can sign out; none on a page for everybody.
    pub viewer: Option<(&'a str, bool)>,
    /// The address of the stream that tells what has changed on this page.
    pub live: Option<&'a str>,
    /// What came of the last action.
    pub notice: Option<&'a Notice>,
}

impl<'a> Frame<'a> {
    /// A page without navigation, for everybody.
    #[must_use]
    pub const fn plain(service: &'a str, base: &'a str, title: &'a str) -> Self {
        Self { service, base, title, links: &[], here: "", viewer: None, live: None, notice: None }
    }

    /// The whole page around this content.
    #[must_use]
    pub fn around(&self, content: &Markup) -> Markup {
        let base = self.base;
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) " · " (self.service) }
                    link rel="stylesheet" href={ (base) "/assets/" (assets::style()) };
                    script src={ (base) "/assets/" (assets::script()) } defer {}
                }
                body data-live=[self.live] {
                    a .skip href="#content" { "Skip to the content" }
                    (self.header())
                    main #content tabindex="-1" {
                        h1 { (self.title) }
                        @if let Some(notice) = self.notice { (said(notice)) }
                        (content)
                    }
                }
            }
        }
    }

    fn header(&self) -> Markup {
        html! {
            header .top {
                a .brand href=(self.base) { (self.service) }
                @if !self.links.is_empty() {
                    nav aria-label="Pages" {
                        ul {
                            @for link in self.links { li { (self.link(link)) } }
                        }
                    }
                }
                @if let Some((name, leaves)) = self.viewer {
                    div .viewer {
                        span { (name) }
                        @if leaves {
                            form method="post" action={ (self.base) "/sign-out" } {
                                button .plain type="submit" { "Sign out" }
                            }
                        }
                    }
                }
            }
        }
    }

    fn link(&self, link: &Link<'_>) -> Markup {
        let current = (link.path == self.here).then_some("page");
        html! {
            a href={ (self.base) (link.path) } aria-current=[current] {
                (link.text)
                @if let Some(count) = link.count.filter(|count| *count > 0) { " " span .count { (count) } }
            }
        }
    }
}

fn said(notice: &Notice) -> Markup {
    let (class, role) = match notice.tone {
        Tone::Done => ("notice done", "status"),
        Tone::Refused => ("notice refused", "alert"),
    };
    html! { p class=(class) role=(role) { (notice.text) } }
}
