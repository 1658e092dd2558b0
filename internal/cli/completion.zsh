#compdef COMMAND
# Completion of COMMAND in zsh. Enable it, after compinit, with: source <(COMMAND completion zsh)
# (by its path where COMMAND is a word of the shell's own, as export is).
_slipway_COMMAND() {
	local line
	local -a values shown
	for line in "${(@f)$("${words[1]}" "${(@)words[2,CURRENT]}" __complete 2>/dev/null)}"; do
		case $line in
		'') ;;
		:files) _files ;;
		:folders) _files -/ ;;
		*$'\t'*)
			values+=("${line%%$'\t'*}")
			shown+=("${line/$'\t'/  -- }")
			;;
		*)
			values+=("$line")
			shown+=("$line")
			;;
		esac
	done
	(( $#values )) && compadd -l -d shown -a -- values
}
if [[ $(whence -w COMMAND) == *(builtin|reserved|function|alias) ]]; then
	compdef _slipway_COMMAND -p '*/COMMAND'
else
	compdef _slipway_COMMAND COMMAND
fi
