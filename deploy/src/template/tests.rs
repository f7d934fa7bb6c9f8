use serde_json::json;

use super::*;

const FILES: &[(&str, &str)] = &[("f", "from a file")];

fn evaluate(template: &str) -> Result<String, TemplateError> {
    let data = json!({
        "Values": {
            "yes": true, "no": false, "text": "a\"b<c>\n---\n", "empty": "", "number": 3, "zero": 0,
            "float": 2.0, "list": ["x", "y"], "map": {"b": {"c": 1}, "a": []},
        },
        "Release": {"Name": "r"},
    });
    let templates = Templates::read([("templates/t.yaml", template)].into_iter(), FILES)?;
    Ok(templates.evaluate(&data)?.into_iter().map(|(_, text)| text).collect())
}

#[test]
fn templates_give_what_helm_gives() {
    for (template, expected) in [
        ("a {{ .Release.Name }} b", "a r b"),
        ("a {{- .Release.Name -}} b", "arb"),
        ("a\n  {{- /* a comment with }} in it */}}\nb", "a\nb"),
        ("{{/* c */ -}}\n b", "b"),
        ("{p: {{ .Values.number | toJson }}}", "{p: 3}"),
        ("{{ \"}}\" }}", "}}"),
        ("{{ .Values.float | toJson }}", "2"),
        ("{{ .Values.text | toJson }}", r#""a\"b\u003cc\u003e\n---\n""#),
        ("{{ .Values.map | toJson | quote }}", r#""{\"a\":[],\"b\":{\"c\":1}}""#),
        ("{{ quote \"é\" }}", r#""\u00e9""#),
        ("{{ if .Values.zero }}a{{ else }}b{{ end }}", "b"),
        ("{{ if and .Values.yes (eq .Release.Name \"r\") }}a{{ end }}", "a"),
        ("{{ if and .Values.yes .Values.no }}a{{ end }}", ""),
        ("{{ if not .Values.empty }}a{{ end }}", "a"),
        ("{{ range .Values.list }}{{ . }}{{ $.Release.Name }},{{ end }}", "xr,yr,"),
        (
            "{{ range $k, $v := .Values.map }}{{ $k }}={{ $v | toJson }};{{ end }}",
            "a=[];b={\"c\":1};",
        ),
        (
            "{{ define \"d\" -}}\n x\ny {{ .Release.Name }}\n{{- end }}- {{ include \"d\" . | nindent 2 }}",
            "- \n  x\n  y r",
        ),
        ("{{ .Values.empty | default \"d\" }}{{ default \"d\" .Release.Name }}", "dr"),
        ("{{ dig \"b\" \"c\" 0 .Values.map | toJson }}", "1"),
        ("{{ dig \"b\" \"x\" \"none\" .Values.map }}", "none"),
        ("{{ dig \"x\" \"c\" \"none\" .Values.map }}", "none"),
        ("{{ printf \"%s:%s\" .Release.Name (.Values.empty | default \"d\") }}", "r:d"),
        ("{{ \"1.2.3\" | replace \".\" \"-\" }}", "1-2-3"),
        ("{{ .Files.Get \"f\" }}", "from a file"),
    ] {
        assert_eq!(evaluate(template).as_deref(), Ok(expected), "{template}");
    }
}

#[test]
fn what_helm_would_print_in_a_form_of_its_own_is_refused() {
    for template in [
        "{{ .Values.missing }}",
        "{{ .Values.number }}",
        "{{ .Values.list }}",
        "{{ .Values.number | quote }}",
        "{{ range .Values.number }}{{ end }}",
        "{{ eq .Values.number 3 }}",
        "{{ include \"nothing\" . }}",
        "{{ define \"d\" }}{{ include \"d\" . }}{{ end }}{{ include \"d\" . }}",
        "{{ .Files.Get \"nothing\" }}",
        "{{ printf \"%d\" .Values.number }}",
        "{{ printf \"%s\" }}",
        "{{ upper \"x\" }}",
        "{{ $nothing }}",
        "{{ .Release.Name \"x\" }}",
    ] {
        assert!(evaluate(template).is_err(), "{template}: {:?}", evaluate(template));
    }
}

#[test]
fn templates_that_make_no_sense_are_refused_with_the_line() {
    for template in [
        "\n{{ if }}{{ end }}",
        "\n{{ if .Values.yes }}",
        "\n{{ end }}",
        "\n{{ else }}",
        "\n{{ range .Values.list }}{{ else }}{{ end }}",
        "\n{{ range $x := .Values.list }}{{ end }}",
        "\n{{ with .Values }}{{ end }}",
        "\n{{ define x }}{{ end }}",
        "\n{{ (.Values.yes }}",
        "\n{{ .Values.yes) }}",
        "\n{{ .Values.yes | }}",
        "\n{{ \"x }}",
        "\n{{ \"\\x\" }}",
        "\n{{ 99999999999999999999 }}",
        "\n{{ = }}",
        "\n{{",
        "\n{{ /* }}",
    ] {
        assert_eq!(evaluate(template).map_err(|error| error.line), Err(2), "{template}");
    }
    let deep = format!("{}{}", "{{ if .Values.yes }}".repeat(50), "{{ end }}".repeat(50));
    assert!(evaluate(&deep).is_err());
    let deep = format!("{{{{ {}.Values.yes{} }}}}", "(".repeat(50), ")".repeat(50));
    assert!(evaluate(&deep).is_err());
}
