//! What the shells are told. Each asks `kubectl-contour __complete` and so knows all that kubectl
//! knows.

use clap::ValueEnum;

/// A shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// GNU bash.
    Bash,
    /// zsh.
    Zsh,
    /// fish.
    Fish,
    /// `PowerShell`.
    Powershell,
}

impl Shell {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Bash, Self::Zsh, Self::Fish, Self::Powershell];

    /// The shell of the program at a path.
    pub fn of_program(path: &std::path::Path) -> Option<Self> {
        match path.file_stem()?.to_str()? {
            "bash" => Some(Self::Bash),
            "zsh" => Some(Self::Zsh),
            "fish" => Some(Self::Fish),
            "pwsh" | "powershell" => Some(Self::Powershell),
            _ => None,
        }
    }
}

/// What makes a file one of ours.
pub(super) const MARK: &str = "Made by kubectl-contour: `kubectl contour completion`";

/// What kubectl runs to complete `kubectl contour`.
pub(super) const FOR_KUBECTL: &str =
    "#!/bin/sh\nexec kubectl-contour __complete \"$@\" 2>/dev/null\n";

/// The script of a shell.
pub(super) fn of(shell: Shell) -> String {
    let script = match shell {
        Shell::Bash => BASH,
        Shell::Zsh => ZSH,
        Shell::Fish => FISH,
        Shell::Powershell => POWERSHELL,
    };
    script.replace("MARK", MARK)
}

// The line is split by blanks and not by COMP_WORDBREAKS, for values hold colons and equals signs;
// readline replaces only what follows the last of those.
const BASH: &str = r#"# Completion of kubectl-contour for bash. MARK
_kubectl_contour() {
    local line="${COMP_LINE:0:COMP_POINT}" words=() last cut="" value rest
    read -r -a words <<< "$line"
    [[ "$line" == *[[:blank:]] ]] && words+=("")
    words=("${words[@]//[\'\"]/}")
    last="${words[${#words[@]} - 1]}"
    [[ "$COMP_WORDBREAKS" == *[=:]* ]] && cut="${last%"${last##*[=:]}"}"
    COMPREPLY=()
    while IFS=$'\t' read -r value rest; do
        case "$value" in
            :6) compopt -o nospace 2> /dev/null ;;
            :*) ;;
            *) COMPREPLY+=("${value#"$cut"}") ;;
        esac
    done < <(kubectl-contour __complete "${words[@]:1}" 2> /dev/null)
}
complete -F _kubectl_contour kubectl-contour
"#;

const ZSH: &str = r#"#compdef kubectl-contour
# Completion of kubectl-contour for zsh. MARK
_kubectl_contour() {
    local line value
    local -a candidates options
    for line in "${(@f)$(kubectl-contour __complete "${(@Q)words[2,CURRENT]}" 2> /dev/null)}"; do
        case "$line" in
            :6) options=(-S '') ;;
            :*|'') ;;
            *$'\t'*)
                value="${line%%$'\t'*}"
                candidates+=("${value//:/\\:}:${line#*$'\t'}")
                ;;
            *) candidates+=("${line//:/\\:}") ;;
        esac
    done
    _describe 'kubectl-contour' candidates "${options[@]}"
}
if [[ "${funcstack[1]}" == "_kubectl-contour" ]]; then
    _kubectl_contour "$@"
else
    compdef _kubectl_contour kubectl-contour
fi
"#;

const FISH: &str = r#"# Completion of kubectl-contour for fish. MARK
function __kubectl_contour_complete
    set -l words (commandline --tokenize --current-process --cut-at-cursor)
    set -l last (commandline --current-token --cut-at-cursor)
    kubectl-contour __complete $words[2..-1] "$last" 2> /dev/null | string match --invert --regex '^:\d+$'
end
complete --command kubectl-contour --no-files --keep-order --arguments '(__kubectl_contour_complete)'
"#;

const POWERSHELL: &str = r#"# Completion of kubectl-contour for PowerShell. MARK
Register-ArgumentCompleter -Native -CommandName kubectl-contour -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $words = @($commandAst.CommandElements |
        Where-Object { $_.Extent.StartOffset -lt $cursorPosition } |
        Select-Object -Skip 1 |
        ForEach-Object { $_.ToString().Trim('"', "'") })
    if ($wordToComplete -eq '') {
        # Before 7.3, an empty argument has to be quoted twice to arrive.
        $words += if ($PSVersionTable.PSVersion -ge [version]'7.3') { '' } else { '""' }
    }
    kubectl-contour __complete @words 2> $null | Where-Object { $_ -notmatch '^:\d+$' } | ForEach-Object {
        $value, $description = $_ -split "`t", 2
        if (-not $description) { $description = $value }
        [System.Management.Automation.CompletionResult]::new($value, $value, 'ParameterValue', $description)
    }
}
"#;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_script_is_marked_and_asks_the_program() {
        for shell in Shell::ALL {
            let script = of(shell);
            assert!(script.contains(MARK) && script.contains("kubectl-contour __complete "));
        }
        assert_eq!(FOR_KUBECTL.lines().count(), 2);
    }

    #[test]
    fn shells_are_known_by_their_programs() {
        for (path, expected) in [
            ("bin/bash", Some(Shell::Bash)),
            ("zsh", Some(Shell::Zsh)),
            ("usr/bin/fish", Some(Shell::Fish)),
            ("pwsh.exe", Some(Shell::Powershell)),
            ("bin/dash", None),
            ("", None),
        ] {
            assert_eq!(Shell::of_program(Path::new(path)), expected, "{path}");
        }
    }
}
