//! A gateway that the cluster shares with another application: that one is untouched, and nothing
//! that was not judged reaches the cluster, by whatever route it comes.

mod support;

use std::net::SocketAddr;

use portcullis_e2e::client::{self, Request, Response};
use portcullis_e2e::envoy::{Envoy, Launch};
use portcullis_e2e::gateway::{Gateway, Listener};
use portcullis_e2e::upstream::{Recorded, Upstream};
use portcullis_e2e::wait;
use serde_json::{Value, json};
use support::World;

/// The host that the shipped file gives to the cluster, and one that is another application's.
const CLUSTER: &str = "camunda.example.com";
const SHOP: &str = "shop.example.com";

/// The shared gateway, running.
struct Site {
    world: World,
    shop: Upstream,
    envoy: Envoy,
}

/// The shipped file with what a user fills in, and a shape for its listener.
fn gateway(world: &World, shop: &Upstream, shape: impl FnOnce(Listener) -> Listener) -> Gateway {
    let gateway = Gateway::of("shared.yaml", world.upstream.addr()).expect("a file");
    let at = shop.addr();
    let gateway = gateway.edit(|bootstrap| {
        let cluster = &mut bootstrap["static_resources"]["clusters"][1];
        assert_eq!(cluster["name"], "shop");
        cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"] =
            json!({"socket_address": {"address": at.ip().to_string(), "port_value": at.port()}});
    });
    gateway.listener("gateway", |l| {
        let listener = world.guarded(l).edit_manager(|manager| hosts(manager)[0]["domains"] = json!([CLUSTER]));
        shape(listener)
    })
}

fn hosts(manager: &mut Value) -> &mut Value {
    &mut manager["route_config"]["virtual_hosts"]
}

/// Adds a route before the other application's own.
fn shop_route(manager: &mut Value, route: Value) {
    hosts(manager)[1]["routes"].as_array_mut().expect("routes").insert(0, route);
}

/// A filter that changes a header of what asks for it, and has the route chosen anew.
fn rerouting(header: &str, value: &str) -> Value {
    let code = format!(
        "function envoy_on_request(handle)\n\
                  if handle:headers():get('x-trigger') then\n\
                    handle:headers():replace('{header}', '{value}')\n\
                    handle:clearRouteCache()\n\
                  end\n\
                end"
    );
    json!({"name": "rerouting", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
        "default_source_code": {"inline_string": code},
    }})
}

/// The route that it leads to.
fn by_header() -> Value {
    json!({
        "match": {"prefix": "/", "headers": [{"name": "x-route", "string_match": {"exact": "cluster"}}]},
        "route": {"cluster": "orchestration"},
    })
}

impl Site {
    fn start(shape: impl FnOnce(Listener) -> Listener) -> Self {
        Self::shaped(shape, |gateway| gateway)
    }

    fn shaped(shape: impl FnOnce(Listener) -> Listener, edit: impl FnOnce(Gateway) -> Gateway) -> Self {
        let (world, shop) = (World::new(), Upstream::start().expect("an upstream"));
        let envoy = Launch::new(edit(gateway(&world, &shop, shape)).build()).start().expect("Envoy");
        Self { world, shop, envoy }
    }

    fn addr(&self) -> SocketAddr {
        self.envoy.addr("gateway").expect("an address")
    }

    fn send(&self, request: &Request) -> Response {
        client::send(self.addr(), request).expect("an answer")
    }

    /// The other application answers it, and had it as it was sent.
    fn shop_has(&self, request: &Request) -> Recorded {
        let answer = self.send(request);
        let arrived = self.shop.find(request.id());
        let arrived = arrived.unwrap_or_else(|| panic!("{}: {} {}", request.line(), answer.status, answer.text()));
        assert!(arrived.complete && self.world.upstream.find(request.id()).is_none(), "{}", request.line());
        arrived
    }

    /// The cluster answers it.
    fn cluster_has(&self, request: &Request) {
        let fate = self.world.fate(self.addr(), request);
        assert!(fate.passed() && self.shop.find(request.id()).is_none(), "{} {fate:?}", request.line());
    }

    /// The edge answers it with that status, and nobody had any of it.
    fn nobody_has(&self, request: &Request, status: u16) {
        let fate = self.world.fate(self.addr(), request);
        assert!(fate.refused(status) && !fate.begun, "{} {fate:?}", request.line());
        assert!(self.shop.find(request.id()).is_none(), "{}", request.line());
    }

    /// Calls by that host are judged: who may, may, and nobody else.
    fn guards(&self, to_cluster: impl Fn(Request) -> Request) {
        self.cluster_has(&to_cluster(self.world.ask("ada")));
        self.cluster_has(&to_cluster(self.world.create("dora", "invoice")));
        self.nobody_has(&to_cluster(self.world.create("dora", "payroll")), 403);
        self.nobody_has(&to_cluster(self.world.ask("ada, forged")), 401);
        self.nobody_has(&to_cluster(Request::get("/v2/topology")), 401);
        self.nobody_has(&to_cluster(Request::get("/v2/topology/").bearer(self.world.token("ada"))), 400);
    }
}

fn at(host: &str) -> impl Fn(Request) -> Request {
    move |request| request.header("host", host)
}

#[test]
fn what_is_for_the_cluster_is_judged() {
    let site = Site::start(|listener| listener);
    site.guards(at(CLUSTER));
    let site = Site::shaped(
        |listener| listener.edit_plugin(|plugin| plugin["body"]["gate"] = "stream".into()),
        |gateway| {
            gateway.edit(|bootstrap| {
                let belt = belt(bootstrap);
                let principals = &mut belt[0]["typed_config"]["rules"]["policies"]["judged"]["principals"];
                let mut pending = principals[0].clone();
                pending["filter_state"]["string_match"]["exact"] = "orders:pending".into();
                principals.as_array_mut().expect("a list").push(pending);
                let code = &mut belt[1]["typed_config"]["default_source_code"]["inline_string"];
                let (allow, both) =
                    ("{[\"orders:allow\"] = true}", "{[\"orders:allow\"] = true, [\"orders:pending\"] = true}");
                *code = code.as_str().expect("Lua").replace(allow, both).into();
            })
        },
    );
    site.cluster_has(&at(CLUSTER)(site.world.create("dora", "invoice")));
    let denied = at(CLUSTER)(site.world.create("dora", "payroll"));
    assert!(site.world.fate(site.addr(), &denied).refused(403));
    site.nobody_has(&at(CLUSTER)(site.world.ask("ada, forged")), 401);
}

#[test]
fn other_applications_are_untouched() {
    let site = Site::start(|listener| {
        listener.edit_manager(|manager| {
            let answer = |path: &str, answer: Value| {
                let mut route = answer;
                route["match"] = json!({"path": path});
                route
            };
            shop_route(manager, answer("/moved", json!({"redirect": {"path_redirect": "/new"}})));
            shop_route(manager, answer("/direct", json!({"direct_response": {"status": 418}})));
            shop_route(manager, answer("/nowhere", json!({"route": {"cluster_header": "x-cluster"}})));
        })
    });
    let odd = [
        Request::get("/"),
        Request::get("/v2/topology"),
        Request::get("/v2//topology;a=b/%2F"),
        Request::new("PURGE", "/basket"),
        Request::post("/v2/process-instances", &json!({"processDefinitionId": "payroll"})),
        Request::get("/a").header("authorization", "Basic c2hvcDpzaG9w").header("cookie", "camunda-session=1"),
        Request::get("/b").header("x-portcullis-user", "ada").header("x-bytes", b"\xff\xfe"),
    ];
    for request in odd.into_iter().map(at(SHOP)) {
        let arrived = site.shop_has(&request);
        let sent = String::from_utf8_lossy(&request.bytes()).to_lowercase();
        for name in ["x-portcullis-user", "authorization", "cookie"] {
            assert_eq!(arrived.fields.get(name).is_some(), sent.contains(&format!("\n{name}: ")), "{name}");
        }
    }
    let answered = |path: &str| site.send(&at(SHOP)(Request::get(path))).status;
    assert_eq!((answered("/moved"), answered("/direct"), answered("/nowhere")), (301, 418, 503));
    let passed_by = || site.envoy.stat("wasmcustom.wasm_filter.orders.component.scope.portcullis_passed_by").ok()?;
    wait::until("the count", || passed_by().filter(|count| *count == 10)).expect("ten");
}

/// However the host is written, Envoy leads the call either to the other application, or to the
/// cluster and by the filter.
#[test]
fn another_spelling_of_the_host_is_no_way_round() {
    let spellings =
        ["Camunda.Example.COM", "camunda.example.com:443", "camunda.example.com.", "camunda.example.com.:8080"];
    for strict in [false, true] {
        let site = Site::start(|listener| {
            listener.edit_manager(|manager| {
                if strict {
                    manager["strip_trailing_host_dot"] = true.into();
                    manager["strip_any_host_port"] = true.into();
                }
            })
        });
        for spelling in spellings {
            let plain = at(spelling)(Request::get("/v2/topology"));
            let answer = site.send(&plain).status;
            assert!(site.world.upstream.find(plain.id()).is_none(), "{spelling}");
            let at_shop = site.shop.find(plain.id()).is_some();
            assert_eq!(answer == 401, !at_shop, "{spelling}: {answer}");
            assert!(!(strict && at_shop), "{spelling}");
        }
    }
}

/// Routes of other hosts that lead to the cluster are in scope as well.
#[test]
fn another_route_to_the_cluster_is_judged() {
    let routes = [
        by_header(),
        json!({"match": {"prefix": "/"}, "route": {"cluster": "orchestration", "host_rewrite_literal": SHOP}}),
        json!({"match": {"prefix": "/"}, "route": {"weighted_clusters": {"clusters": [
            {"name": "orchestration", "weight": 100}, {"name": "shop", "weight": 0},
        ]}}}),
        json!({"match": {"prefix": "/"}, "route": {"cluster_header": "x-cluster"}}),
    ];
    for route in routes {
        let site = Site::start(|listener| listener.edit_manager(|manager| shop_route(manager, route)));
        site.guards(|request| at(SHOP)(request).header("x-route", "cluster").header("x-cluster", "orchestration"));
    }
}

/// A filter that has the route chosen anew makes a call of the other application one of the
/// cluster. Behind ours, the call has not been judged, and the belt stops it; before ours, too,
/// where Envoy does not tell us of the new route.
#[test]
fn a_cleared_route_cache_is_no_way_round() {
    for place in [0, 1] {
        let site = Site::start(|listener| {
            listener.edit_manager(|manager| {
                shop_route(manager, by_header());
                manager["http_filters"].as_array_mut().expect("filters").insert(place, rerouting("x-route", "cluster"));
            })
        });
        let moved = |request: Request| at(SHOP)(request).header("x-trigger", "1");
        for request in [
            Request::get("/v2/topology"),
            site.world.ask("ada, forged"),
            site.world.create("dora", "payroll"),
            Request::post("/v2/process-instances", &json!({"processDefinitionId": "invoice"})),
        ] {
            let request = moved(request);
            let fate = site.world.fate(site.addr(), &request);
            assert!(matches!(fate.status, Some(401 | 403)) && !fate.begun, "{place}: {} {fate:?}", request.line());
            assert!(site.shop.find(request.id()).is_none(), "{place}");
        }
        site.shop_has(&at(SHOP)(Request::get("/")));
        site.guards(at(CLUSTER));
    }
}

/// What Envoy mirrors has no caller's connection, and there it skips its own RBAC, as its log says:
/// the belt's other half stops it.
#[test]
fn what_is_mirrored_does_not_reach_the_cluster() {
    for halves in [1, 2] {
        let copies = |listener: Listener| {
            listener.edit_manager(|manager| {
                let route = &mut hosts(manager)[1]["routes"][0]["route"];
                route["request_mirror_policies"] = json!([{"cluster": "orchestration"}]);
            })
        };
        let site = Site::shaped(copies, |gateway| gateway.edit(|bootstrap| drop(belt(bootstrap).drain(halves..2))));
        let create = json!({"processDefinitionId": "invoice"});
        let mirrored = [Request::get("/basket"), Request::post("/v2/process-instances", &create)].map(at(SHOP));
        for request in &mirrored {
            site.send(request);
            assert!(site.shop.find(request.id()).is_some(), "{}", request.line());
        }
        let arrives = |request: &Request| site.world.upstream.wait_for(request.id(), |arrived| arrived.complete);
        if halves == 1 {
            mirrored.iter().for_each(|request| drop(arrives(request).expect("the copy")));
            assert!(site.envoy.log().contains("skipping upstream RBAC"));
        }
        site.guards(at(CLUSTER));
        if halves == 2 {
            mirrored.iter().for_each(|r| assert!(site.world.upstream.find(r.id()).is_none(), "{}", r.line()));
        }
    }
}

/// The filters of the cluster itself: both halves of the belt, and the codec.
fn belt(bootstrap: &mut Value) -> &mut Vec<Value> {
    let options = &mut bootstrap["static_resources"]["clusters"][0]["typed_extension_protocol_options"];
    let filters = &mut options["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"]["http_filters"];
    filters.as_array_mut().expect("filters")
}

#[test]
fn without_the_filter_nothing_reaches_the_cluster_and_all_else_goes_on() {
    let without: [fn(Listener) -> Listener; 3] = [
        Listener::without_filter,
        |listener| listener.edit_plugin(|plugin| plugin["name"] = "billing".into()),
        |listener| listener.edit_plugin(|plugin| plugin["scope"] = json!({"clusters": ["orchestrations"]})),
    ];
    for shape in without {
        let site = Site::start(shape);
        for request in [site.world.ask("ada"), site.world.create("dora", "invoice")] {
            site.nobody_has(&at(CLUSTER)(request), 403);
        }
        site.shop_has(&at(SHOP)(Request::get("/")));
    }
}

/// By authority: every spelling of a name that is listed is judged; what leads to the cluster under
/// a name that is not listed is stopped by the belt.
#[test]
fn scope_by_authority() {
    let site = Site::start(|listener| {
        let listener = listener.edit_plugin(|plugin| plugin["scope"] = json!({"authorities": [CLUSTER]}));
        listener.edit_manager(|manager| {
            // Whatever is not the shop's goes to the cluster.
            hosts(manager)[0]["domains"] = json!(["*"]);
            hosts(manager)[1]["domains"] = json!([SHOP]);
            shop_route(manager, by_header());
        })
    });
    for spelling in [CLUSTER, "CAMUNDA.example.com", "camunda.example.com:8080", "camunda.example.com."] {
        site.guards(at(spelling));
    }
    for odd in ["", "user@shop.example.com", "camunda.example.com:80:80"] {
        let request = at(odd)(Request::get("/v2/topology"));
        let answer = site.send(&request);
        assert!(matches!(answer.status, 400 | 401), "{odd:?} {}", answer.status);
        assert!(site.world.upstream.find(request.id()).is_none() && site.shop.find(request.id()).is_none());
    }
    site.nobody_has(&at("other.example.com")(site.world.ask("ada")), 403);
    site.nobody_has(&at(SHOP)(site.world.ask("ada")).header("x-route", "cluster"), 403);
    site.shop_has(&at(SHOP)(Request::get("/")));
}

/// Where the host does not say which cluster it is, nothing passes, and nothing by mistake.
#[test]
fn a_host_that_hides_the_cluster_opens_nothing() {
    let site = Site::start(|listener| listener.without_capability("proxy_get_property"));
    site.nobody_has(&at(CLUSTER)(site.world.ask("ada")), 503);
    site.nobody_has(&at(CLUSTER)(Request::get("/v2/topology")), 503);
    site.nobody_has(&at(SHOP)(Request::get("/")), 503);
}

/// Before Envoy 1.39: the belt stands in the chain, at its end, and the other application's virtual
/// host switches it off.
#[test]
fn the_belt_in_the_chain() {
    let old = |place: Option<usize>| {
        let shape = move |listener: Listener| {
            listener.edit_manager(|manager| {
                let belt = json!({"name": "portcullis-belt", "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
                    "rules": {"action": "ALLOW", "policies": {"judged": {
                        "permissions": [{"any": true}],
                        "principals": [{"filter_state": {
                            "key": "wasm.portcullis_belt", "string_match": {"exact": "orders:allow"},
                        }}],
                    }}},
                }});
                let filters = manager["http_filters"].as_array_mut().expect("filters");
                filters.insert(1, belt);
                if let Some(place) = place {
                    filters.insert(place, rerouting(":authority", CLUSTER));
                }
                hosts(manager)[1]["typed_per_filter_config"] = json!({"portcullis-belt": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBACPerRoute",
                }});
            })
        };
        Site::shaped(shape, |gateway| {
            gateway.edit(|bootstrap| {
                let cluster = bootstrap["static_resources"]["clusters"][0].as_object_mut().expect("a cluster");
                cluster.remove("typed_extension_protocol_options").expect("the belt");
            })
        })
    };
    let site = old(None);
    site.guards(at(CLUSTER));
    site.shop_has(&at(SHOP)(Request::get("/v2//topology")));

    // Between the two, a filter that changes the route cannot lead past the belt.
    let site = old(Some(1));
    site.nobody_has(&at(SHOP)(site.world.ask("ada")).header("x-trigger", "1"), 403);
    site.guards(at(CLUSTER));
    site.shop_has(&at(SHOP)(Request::get("/")));
}
