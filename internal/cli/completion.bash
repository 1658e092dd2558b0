# Completion of COMMAND in bash. Enable it with: source <(COMMAND completion bash)
# (by its path where COMMAND is a word of the shell's own, as export is).
_slipway_COMMAND() {
	local current=${COMP_WORDS[COMP_CWORD]} line
	COMPREPLY=()
	if [[ ${COMP_WORDS[0]} != */* && $(type -t COMMAND) != file ]]; then
		while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -v -- "$current")
		return
	fi
	while IFS= read -r line; do
		case $line in
		:files) compopt -o filenames 2>/dev/null; while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "${current#=}") ;;
		:folders) compopt -o filenames 2>/dev/null; while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -d -- "${current#=}") ;;
		*) COMPREPLY+=("${line%%$'\t'*}") ;;
		esac
	done < <("${COMP_WORDS[0]}" "${COMP_WORDS[@]:1:COMP_CWORD}" __complete 2>/dev/null)
}
complete -F _slipway_COMMAND COMMAND
