//! The methods of each route, for the answer to a wrong method: the same list as the router's. Used only when a
//! request has failed.

use http::Method;

use super::route::Route;

/// The addresses of a router, with what each takes.
pub(super) struct Addresses(Vec<(&'static str, Method)>);

impl Addresses {
    pub(super) fn of<'a>(routes: impl IntoIterator<Item = &'a Route>) -> Self {
        Self(routes.into_iter().map(|route| (route.operation.path, route.operation.method.clone())).collect())
    }

    /// The methods of this address in the order of the list, with commas between; none if nothing is there.
    pub(super) fn methods(&self, path: &str) -> Option<String> {
        let mut methods: Vec<&str> = Vec::new();
        for (_, method) in self.0.iter().filter(|(route, _)| fits(route, path)) {
            methods.push(method.as_str());
            if *method == Method::GET {
                methods.push(Method::HEAD.as_str());
            }
        }
        methods.sort_unstable();
        (!methods.is_empty()).then(|| methods.join(", "))
    }

    /// The address that was meant by one with slashes too many at its end.
    pub(super) fn without_slash<'a>(&self, path: &'a str) -> Option<&'a str> {
        let meant = path.trim_end_matches('/');
        (meant.len() < path.len() && self.methods(meant).is_some()).then_some(meant)
    }
}

/// Whether a path matches a route, whose parts in braces match any text.
fn fits(route: &str, path: &str) -> bool {
    let (mut parts, mut asked) = (route.split('/'), path.split('/'));
    loop {
        match (parts.next(), asked.next()) {
            (None, None) => return true,
            (Some(part), Some(said)) if part == said || (part.starts_with('{') && !said.is_empty()) => {}
            (Some(_), Some(_) | None) | (None, Some(_)) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_fits_its_route_and_no_other() {
        assert!(fits("/orders/{order_id}/saga", "/orders/7/saga"));
        for stranger in ["/orders/7", "/orders//saga", "/orders/7/saga/", "/orders/7/8/saga", "/"] {
            assert!(!fits("/orders/{order_id}/saga", stranger), "{stranger}");
        }
    }
}
