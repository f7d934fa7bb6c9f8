//! Each feature of an IngressRoute, by requests through a real Envoy.

#[path = "feature/certificates.rs"]
mod certificates;
#[path = "feature/counted.rs"]
mod counted;
#[path = "feature/delegation.rs"]
mod delegation;
#[path = "feature/feed.rs"]
mod feed;
#[path = "feature/listener.rs"]
mod listener;
#[path = "feature/observed.rs"]
mod observed;
#[path = "feature/policy.rs"]
mod policy;
#[path = "feature/routing.rs"]
mod routing;
#[path = "feature/services.rs"]
mod services;
#[path = "feature/settings.rs"]
mod settings;
#[path = "feature/tcp.rs"]
mod tcp;
#[path = "feature/tls.rs"]
mod tls;
#[path = "feature/upstream.rs"]
mod upstream;
