# Completion of COMMAND in fish. Enable it with: COMMAND completion fish | source
# (by its path where COMMAND is a word of the shell's own, as export is).
function __slipway_COMMAND
	set -l words (commandline -opc)
	set -l current (commandline -ct)
	if not string match -q '*/*' $words[1]; and test (type -t COMMAND) != file
		set --names
		return
	end
	for line in ($words $current __complete 2>/dev/null)
		switch $line
			case ':files'
				__fish_complete_path $current
			case ':folders'
				__fish_complete_directories $current
			case '*'
				echo $line
		end
	end
end
complete -c COMMAND -f -a '(__slipway_COMMAND)'
