# bash completion for mktap, tapconvert, tapctl and twistd.
# Made by `python -m docs.generate` from the usage texts: change those.
# Use it with: eval "$(tapctl completion bash)"

_tapkit_images='etap etas etax tap tas tax'

_tapkit_options() {  # COMMAND: its options; = is after those with a value
    case $1 in
        'mktap') echo '-n= --appname= -t= --type= -x --xml -s --source -e --encrypted --passphrase-file= --passphrase-fd= --recipient= --identity= --sign= -a= --append= --carry= -u= --uid= -g= --gid= -p --progress -d --debug --dry-run -h --help --version' ;;
        'tapconvert') echo '-i= --in= -o= --out= -f= --typein= -t= --typeout= -d --decrypt -e --encrypt --passphrase-file= --passphrase-fd= --identity= --recipient= --run -h --help --version' ;;
        'tapctl') echo '-h --help --version' ;;
        'twistd') echo '-f= --file= -x= --xml= -s= --source= -y= --python= -n --nodaemon --check --set= --restricted --allow= --placeholders -e --encrypted --passphrase-file= --passphrase-fd= --identity= --recipient= --require-signature --allow-rollback -o --no_save --save-every= --keep= --resume -d= --rundir= -l= --logfile= --syslog --prefix= --pidfile= --log-size= --log-keep= --log-format= --umask= --chroot= -u= --uid= -g= --gid= --euid --originalname --workers= -r= --reactor= -q --quiet --start-timeout= --drain-timeout= --stop-timeout= -b --debug --spew -p= --profile= --savestats --profiler= --help-reactors -h --help --version' ;;
        'tapctl audit') echo '--allow= --undeclared --json --all --passphrase-file= --passphrase-fd= --identity= -h --help' ;;
        'tapctl bundle') echo '-o= --output= -f --force -h --help' ;;
        'tapctl check') echo '--strict --json --passphrase-file= --passphrase-fd= --identity= -h --help' ;;
        'tapctl completion') echo '-h --help' ;;
        'tapctl diff') echo '-q --quiet --json --passphrase-file= --passphrase-fd= --identity= -h --help' ;;
        'tapctl edit') echo '-k= --sign= --passphrase-file= --passphrase-fd= --identity= --recipient= -h --help' ;;
        'tapctl inspect') echo '--all --graph= --source --json --passphrase-file= --passphrase-fd= --identity= -h --help' ;;
        'tapctl keygen') echo '-a= --applications= -e= --expires= -c= --comment= -h --help' ;;
        'tapctl list' | 'tapctl status') echo '--json -h --help' ;;
        'tapctl logs') echo '-f --follow -n= --lines= -h --help' ;;
        'tapctl reload') echo '--from= --timeout= -h --help' ;;
        'tapctl sign') echo '-k= --key= -n= --name= --passphrase-file= --passphrase-fd= --identity= -h --help' ;;
        'tapctl snapshot') echo '--timeout= -h --help' ;;
        'tapctl stop') echo '--no-save --timeout= -h --help' ;;
        'tapctl top') echo '--every= --once -h --help' ;;
        'tapctl unit') echo '--socket -h --help' ;;
        'tapctl verify') echo '-k= --key= --allow-rollback -h --help' ;;
    esac
}

_tapkit_kind() {  # COMMAND OPTION: what its value is
    case $1 in
        'mktap -n' | 'mktap --appname' | 'mktap --passphrase-fd' | 'mktap --recipient' | 'mktap --sign' | 'mktap --carry' | 'tapconvert --passphrase-fd' | 'tapconvert --recipient' | 'twistd --set' | 'twistd --allow' | 'twistd --passphrase-fd' | 'twistd --recipient' | 'twistd --save-every' | 'twistd --keep' | 'twistd --prefix' | 'twistd --log-size' | 'twistd --log-keep' | 'twistd --umask' | 'twistd --workers' | 'twistd --start-timeout' | 'twistd --drain-timeout' | 'twistd --stop-timeout' | 'tapctl audit --allow' | 'tapctl audit --passphrase-fd' | 'tapctl check --passphrase-fd' | 'tapctl diff --passphrase-fd' | 'tapctl edit -k' | 'tapctl edit --sign' | 'tapctl edit --passphrase-fd' | 'tapctl edit --recipient' | 'tapctl inspect --passphrase-fd' | 'tapctl keygen -a' | 'tapctl keygen --applications' | 'tapctl keygen -e' | 'tapctl keygen --expires' | 'tapctl keygen -c' | 'tapctl keygen --comment' | 'tapctl logs -n' | 'tapctl logs --lines' | 'tapctl reload --timeout' | 'tapctl sign -n' | 'tapctl sign --name' | 'tapctl sign --passphrase-fd' | 'tapctl snapshot --timeout' | 'tapctl stop --timeout' | 'tapctl top --every') echo 'nothing' ;;
        'mktap -t' | 'mktap --type' | 'tapconvert -t' | 'tapconvert --typeout') echo 'pickle xml source' ;;
        'mktap --passphrase-file' | 'mktap --identity' | 'mktap -a' | 'mktap --append' | 'tapconvert -i' | 'tapconvert --in' | 'tapconvert -o' | 'tapconvert --out' | 'tapconvert --passphrase-file' | 'tapconvert --identity' | 'twistd --passphrase-file' | 'twistd --identity' | 'twistd -l' | 'twistd --logfile' | 'twistd --pidfile' | 'twistd -p' | 'twistd --profile' | 'tapctl audit --passphrase-file' | 'tapctl audit --identity' | 'tapctl bundle -o' | 'tapctl bundle --output' | 'tapctl check --passphrase-file' | 'tapctl check --identity' | 'tapctl diff --passphrase-file' | 'tapctl diff --identity' | 'tapctl edit --passphrase-file' | 'tapctl edit --identity' | 'tapctl inspect --graph' | 'tapctl inspect --passphrase-file' | 'tapctl inspect --identity' | 'tapctl sign -k' | 'tapctl sign --key' | 'tapctl sign --passphrase-file' | 'tapctl sign --identity' | 'tapctl verify -k' | 'tapctl verify --key') echo 'file' ;;
        'mktap -u' | 'mktap --uid' | 'twistd -u' | 'twistd --uid') echo 'user' ;;
        'mktap -g' | 'mktap --gid' | 'twistd -g' | 'twistd --gid') echo 'group' ;;
        'tapconvert -f' | 'tapconvert --typein') echo 'pickle xml source guess' ;;
        'twistd -f' | 'twistd --file' | 'twistd -x' | 'twistd --xml' | 'twistd -s' | 'twistd --source') echo 'image' ;;
        'twistd -y' | 'twistd --python') echo 'script' ;;
        'twistd -d' | 'twistd --rundir' | 'twistd --chroot') echo 'folder' ;;
        'twistd --log-format') echo 'text json' ;;
        'twistd -r' | 'twistd --reactor') echo 'asyncio uvloop' ;;
        'twistd --profiler') echo 'cprofile profile' ;;
        'tapctl reload --from') echo 'image state' ;;
    esac
}

_tapkit_arguments() {  # COMMAND: what its arguments are
    case $1 in
        'mktap') echo 'builder' ;;
        'tapconvert' | 'tapctl audit' | 'tapctl bundle' | 'tapctl check' | 'tapctl diff' | 'tapctl edit' | 'tapctl inspect' | 'tapctl sign' | 'tapctl unit' | 'tapctl verify') echo 'image' ;;
        'tapctl') echo 'audit bundle check completion diff edit inspect keygen list logs reload sign snapshot status stop top unit verify' ;;
        'twistd') echo 'image builder' ;;
        'tapctl completion') echo 'bash fish zsh' ;;
        'tapctl keygen') echo 'file' ;;
        'tapctl logs' | 'tapctl reload' | 'tapctl snapshot' | 'tapctl status' | 'tapctl stop') echo 'daemon' ;;
    esac
}


_tapkit_offer() {  # WORDS: those that fit
    local word
    while IFS= read -r word; do
        COMPREPLY+=("$word")
    done < <(compgen -W "$1" -- "$cur")
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]]; then
        compopt -o nospace 2>/dev/null
    fi
}

_tapkit_offer_files() {  # ENDING...: files that end so, any file without one; and directories
    local name ending
    compopt -o filenames 2>/dev/null
    while IFS= read -r name; do
        COMPREPLY+=("$name")
    done < <(
        if [[ $# -gt 0 ]]; then compgen -d -- "$cur"; else compgen -f -- "$cur"; fi
        for ending in "$@"; do
            compgen -f -X "!*.$ending" -- "$cur"
        done
    )
}

_tapkit_offer_kind() {  # KIND, or WORDS
    case $1 in
        nothing) ;;
        file) _tapkit_offer_files ;;
        folder) _tapkit_offer_files '' ;;
        image) _tapkit_offer_files $_tapkit_images ;;
        script) _tapkit_offer_files tac py ;;
        user) _tapkit_offer "$(compgen -u)" ;;
        group) _tapkit_offer "$(compgen -g)" ;;
        builder) _tapkit_offer "$(mktap --help 2>/dev/null | _tapkit_commands)" ;;
        daemon)
            _tapkit_offer_files pid $_tapkit_images
            _tapkit_offer "$(tapctl list 2>/dev/null | awk 'NR > 1 && $1 != "-" { print $1 }')"
            ;;
        *) _tapkit_offer "$1" ;;
    esac
}

_tapkit_commands() {  # of a help text: the names of the commands it lists
    sed -n '/^Commands:/,$ s/^  \([a-z0-9][^ ]*\).*/\1/p'
}

_tapkit() {
    local command=${1##*/} cur=${COMP_WORDS[COMP_CWORD]} asked= builder= word i=1
    COMPREPLY=()
    while ((i < COMP_CWORD)); do
        word=${COMP_WORDS[i]}
        if [[ -n $builder ]]; then
            :
        elif [[ $word == -* ]]; then
            if [[ " $(_tapkit_options "$command") " == *" $word= "* ]]; then
                ((i += 1))  # its value; readline takes the = of --file=x for a word of its own
                [[ ${COMP_WORDS[i]} == = ]] && ((i += 1))
                ((i < COMP_CWORD)) || asked=$word
            fi
        elif [[ $command == tapctl ]]; then
            command="tapctl $word"
        elif [[ $command == mktap || $command == twistd && $word != *[./]* ]]; then
            builder=$word
        fi
        ((i += 1))
    done
    if [[ -n $asked ]]; then
        [[ $cur == = ]] && cur=
        _tapkit_offer_kind "$(_tapkit_kind "$command $asked")"
    elif [[ -n $builder ]]; then
        if [[ $cur == -* ]]; then
            _tapkit_offer "$("${COMP_WORDS[0]}" "$builder" --help 2>/dev/null |
                grep -oE -e '--[a-z][a-z0-9-]*=?')"
        else
            _tapkit_offer_files
        fi
    elif [[ $cur == -* ]]; then
        _tapkit_offer "$(_tapkit_options "$command" | sed 's/\(^\| \)\(-.\)=/\1\2/g')"
    else
        for word in $(_tapkit_arguments "$command"); do
            _tapkit_offer_kind "$word"
        done
    fi
}

complete -F _tapkit mktap tapconvert tapctl twistd
