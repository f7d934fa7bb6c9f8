//! The commands to try, ready for a shell.

use std::fmt::Write as _;
use std::path::Path;

use super::demo::Place;
use super::directory::Host;
use super::event::Suggestion;
use super::example::{AUTHORITY, SECURE, SHOP};

/// What a suggestion depends on.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// The directory.
    pub directory: &'a Path,
    /// The hosts that it asks to be served.
    pub hosts: &'a [Host],
    /// The demo services that run.
    pub places: &'a [Place],
    /// Where Envoy serves HTTP.
    pub http: u16,
    /// Where Envoy serves HTTPS.
    pub https: u16,
    /// Where the controller tells what it made of each object.
    pub debug: &'a str,
    /// Whether the environment names a proxy that curl would send everything to.
    pub proxied: bool,
}

impl Scene<'_> {
    /// The commands to try.
    pub fn commands(&self) -> Vec<Suggestion> {
        let mut commands = Vec::new();
        let mut add = |purpose: &str, command: String| {
            commands.push(Suggestion { purpose: purpose.to_owned(), command });
        };
        let example = |name: &str| self.hosts.iter().any(|host| host.name == name);
        if example(SHOP) {
            add("blue or green, by weight; again and again", self.plain(SHOP));
        }
        if example(SECURE) {
            add("over TLS", self.secure(SECURE, "/"));
            add("a path that another team owns", self.secure(SECURE, "/team/reports"));
            let command = self.plain(SECURE).replacen("curl ", "curl -i ", 1);
            add("plain HTTP to a host with TLS is redirected", command);
        }
        if example(SHOP) {
            let purpose = "what became of an object, and whether Envoy holds it";
            let object = format!("{}/object/IngressRoute/demo/shop", self.debug);
            add(purpose, format!("{} {object}", self.curl()));
        }
        if commands.is_empty() {
            for host in self.hosts.iter().take(3) {
                let command =
                    if host.tls { self.secure(&host.name, "/") } else { self.plain(&host.name) };
                commands.push(Suggestion { purpose: host.name.clone(), command });
            }
        }
        if let Some(green) = self.places.iter().find(|place| *place.name == *"green") {
            let control = format!("{} 'http://{}/_demo", self.curl(), green.address);
            commands.push(Suggestion {
                purpose: "make green slow, and let it fail".to_owned(),
                command: format!("{control}?delay=200ms&fail=5%'"),
            });
            commands.push(Suggestion {
                purpose: "well again".to_owned(),
                command: format!("{control}?reset'"),
            });
        }
        commands
    }

    /// What to edit, if it is the example.
    pub fn edit(&self) -> Option<String> {
        let file = self.directory.join("shop.yaml");
        let is_example = self.hosts.iter().any(|host| host.name == SHOP) && file.is_file();
        is_example
            .then(|| format!("edit a weight in {}, save, and watch this screen", file.display()))
    }

    fn curl(&self) -> &'static str {
        // A proxy cannot reach this machine's loopback address.
        if self.proxied { "curl --noproxy '*'" } else { "curl" }
    }

    fn plain(&self, host: &str) -> String {
        let http = self.http;
        format!("{} -H 'Host: {host}' http://127.0.0.1:{http}/", self.curl())
    }

    fn secure(&self, host: &str, path: &str) -> String {
        let https = self.https;
        let mut command = self.curl().to_owned();
        let authority = self.directory.join(AUTHORITY);
        if authority.is_file() {
            let file = quote(&authority.display().to_string());
            // Writing to a String cannot fail.
            let _unused = write!(command, " --cacert {file}");
        } else {
            command.push_str(" --insecure");
        }
        format!("{command} --resolve {host}:{https}:127.0.0.1 https://{host}:{https}{path}")
    }
}

/// A word as a shell takes it for itself.
fn quote(text: &str) -> String {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-+@%:,".contains(&b));
    if plain && !text.is_empty() {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_take_them_apart() {
        assert_eq!(quote("./sandbox-example/ca.crt"), "./sandbox-example/ca.crt");
        assert_eq!(quote("my dir/it's"), r"'my dir/it'\''s'");
        assert_eq!(quote(""), "''");
    }

    #[test]
    fn a_directory_of_ones_own_gets_commands_for_its_own_hosts() {
        let hosts = [Host { name: "a.example.org".to_owned(), tls: false }];
        let scene = Scene {
            directory: Path::new("mine"),
            hosts: &hosts,
            places: &[],
            http: 81,
            https: 444,
            debug: "http://127.0.0.1:5/debug",
            proxied: true,
        };
        let commands = scene.commands();
        assert_eq!(commands.len(), 1);
        assert_eq!(
            commands[0].command,
            "curl --noproxy '*' -H 'Host: a.example.org' http://127.0.0.1:81/"
        );
        assert_eq!(scene.edit(), None);
    }
}
