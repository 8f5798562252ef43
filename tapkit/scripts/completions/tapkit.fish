# fish completion for mktap, tapconvert, tapctl and twistd.
# Made by `python -m docs.generate` from the usage texts: change those.
# Use it with: tapctl completion fish | source

function __tapkit_images
    for ending in etap etas etax tap tas tax
        __fish_complete_suffix .$ending
    end
end

function __tapkit_folders
    __fish_complete_directories (commandline -ct | string replace -r '^--[^=]*=' '')
end

function __tapkit_builders
    mktap --help 2>/dev/null |
        sed -n '/^Commands:/,$ s/^  \([a-z0-9][^ ]*\)  *\(.*\)/\1\t\2/p'
end

function __tapkit_daemons
    tapctl list 2>/dev/null | awk 'NR > 1 && $1 != "-" { print $1 "\t" $NF }'
    __fish_complete_suffix .pid
end

function __tapkit_builder_options
    set -l words (__tapkit_words)
    $words[1] $words[2] --help 2>/dev/null | grep -oE -e '--[a-z][a-z0-9-]*=?'
end

function __tapkit_words
    set -l words (commandline -opc)
    set -l program (string replace -r '.*/' '' $words[1])
    set -l is_value no
    for word in $words
        if test $is_value = yes
            set is_value no
        else if string match -q -- '-*' $word
            contains -- $word (__tapkit_valued $program); and set is_value yes
        else
            echo $word
        end
    end
end

function __tapkit_is_first
    test (count (__tapkit_words)) -eq 1
end

function __tapkit_is_past_first
    test (count (__tapkit_words)) -gt 1
end

function __tapkit_is_in
    set -l words (__tapkit_words)
    test (count $words) -ge 2; and test $words[2] = $argv[1]
end

function __tapkit_valued
    switch $argv[1]
        case mktap
            printf '%s\n' -n --appname -t --type --passphrase-file --passphrase-fd --recipient --identity --sign -a --append --carry -u --uid -g --gid
        case tapconvert
            printf '%s\n' -i --in -o --out -f --typein -t --typeout --passphrase-file --passphrase-fd --identity --recipient
        case twistd
            printf '%s\n' -f --file -x --xml -s --source -y --python --set --allow --passphrase-file --passphrase-fd --identity --recipient --save-every --keep -d --rundir -l --logfile --prefix --pidfile --log-size --log-keep --log-format --umask --chroot -u --uid -g --gid --workers -r --reactor --start-timeout --drain-timeout --stop-timeout -p --profile --profiler
    end
end

complete -c mktap -n __tapkit_is_first -s n -l appname -x -d 'Name the application, its file and its process NAME instead of COMMAND'
complete -c mktap -n __tapkit_is_first -s t -l type -x -a 'pickle xml source' -d 'Write this form'
complete -c mktap -n __tapkit_is_first -s x -l xml -d 'The same as --type=xml'
complete -c mktap -n __tapkit_is_first -s s -l source -d 'The same as --type=source'
complete -c mktap -n __tapkit_is_first -s e -l encrypted -d 'Encrypt the image'
complete -c mktap -n __tapkit_is_first -l passphrase-file -r -F -d 'The passphrase is the first line of FILE'
complete -c mktap -n __tapkit_is_first -l passphrase-fd -x -d 'The passphrase comes from the open descriptor N'
complete -c mktap -n __tapkit_is_first -l recipient -x -d 'Encrypt the image so that only the holder of KEY can read it'
complete -c mktap -n __tapkit_is_first -l identity -r -F -d 'Open the image to append to with this age identity'
complete -c mktap -n __tapkit_is_first -l sign -x -d 'Sign the image with the private key in the file KEY'
complete -c mktap -n __tapkit_is_first -s a -l append -r -F -d 'Add the service to the application in FILE, an image of any form, and save it there'
complete -c mktap -n __tapkit_is_first -l carry -x -d 'Put the source text of PACKAGE into the image, which then runs where it is not installed'
complete -c mktap -n __tapkit_is_first -s u -l uid -x -a '(__fish_complete_users)' -d 'Run as USER, a number or a name, when root starts it'
complete -c mktap -n __tapkit_is_first -s g -l gid -x -a '(__fish_complete_groups)' -d 'Run as GROUP, a number or a name, when root starts it'
complete -c mktap -n __tapkit_is_first -s p -l progress -d 'Show the progress of looking for plug-ins'
complete -c mktap -n __tapkit_is_first -s d -l debug -d 'Show where plug-ins are looked for and what is found there'
complete -c mktap -n __tapkit_is_first -l dry-run -d 'Do all but write the file'
complete -c mktap -n __tapkit_is_first -s h -l help -d 'Show this, and the commands'
complete -c mktap -n __tapkit_is_first -l version -d 'Show the version'
complete -c mktap -n __tapkit_is_first -x -a '(__tapkit_builders)'
complete -c mktap -n __tapkit_is_past_first -F -a '(__tapkit_builder_options)'
complete -c tapconvert -s i -l in -r -F -d 'Read FILE'
complete -c tapconvert -s o -l out -r -F -d 'Write FILE'
complete -c tapconvert -s f -l typein -x -a 'pickle xml source guess' -d 'What is read is of this form'
complete -c tapconvert -s t -l typeout -x -a 'pickle xml source' -d 'Write this form'
complete -c tapconvert -s d -l decrypt -d 'What is read is encrypted'
complete -c tapconvert -s e -l encrypt -d 'Encrypt what is written, as age does'
complete -c tapconvert -l passphrase-file -r -F -d 'The passphrase, of what is read and what is written, is the first line of FILE'
complete -c tapconvert -l passphrase-fd -x -d 'It comes from the open descriptor N'
complete -c tapconvert -l identity -r -F -d 'Decrypt with this age identity, or ssh key'
complete -c tapconvert -l recipient -x -d 'Encrypt to the holder of KEY'
complete -c tapconvert -l run -d 'Python source that says more than a generated image does'
complete -c tapconvert -s h -l help -d 'Show this'
complete -c tapconvert -l version -d 'Show the version'
complete -c tapconvert -x -a '(__tapkit_images)'
complete -c tapctl -n __tapkit_is_first -s h -l help -d 'Show this'
complete -c tapctl -n __tapkit_is_first -l version -d 'Show the version'
complete -c tapctl -n __tapkit_is_first -f
complete -c twistd -n __tapkit_is_first -s f -l file -x -a '(__tapkit_images)' -d 'Run this image, in whichever form it is'
complete -c twistd -n __tapkit_is_first -s x -l xml -x -a '(__tapkit_images)' -d 'Run this image, which must be XML'
complete -c twistd -n __tapkit_is_first -s s -l source -x -a '(__tapkit_images)' -d 'Run this image, which must be Python source'
complete -c twistd -n __tapkit_is_first -s y -l python -x -a '(__fish_complete_suffix .tac; __fish_complete_suffix .py)' -d 'Run the variable `application` of this Python script'
complete -c twistd -n __tapkit_is_first -s n -l nodaemon -d 'Stay in the foreground and log to standard output'
complete -c twistd -n __tapkit_is_first -l check -d 'Load what would be run and try to save it, bind and start nothing'
complete -c twistd -n __tapkit_is_first -l set -x -d 'Lay a setting over what is loaded, such as services[0].port=8017'
complete -c twistd -n __tapkit_is_first -l restricted -d 'Load no more than harmless names'
complete -c twistd -n __tapkit_is_first -l allow -x -d 'With --restricted'
complete -c twistd -n __tapkit_is_first -l placeholders -d 'Load an image though classes of it are missing, or refuse their state'
complete -c twistd -n __tapkit_is_first -s e -l encrypted -d 'Refuse an image that is not encrypted'
complete -c twistd -n __tapkit_is_first -l passphrase-file -r -F -d 'Its passphrase is the first line of FILE'
complete -c twistd -n __tapkit_is_first -l passphrase-fd -x -d 'Its passphrase comes from the open descriptor N'
complete -c twistd -n __tapkit_is_first -l identity -r -F -d 'Open it with this age identity, or ssh key'
complete -c twistd -n __tapkit_is_first -l recipient -x -d 'Encrypt what is saved so that only the holder of KEY can read it'
complete -c twistd -n __tapkit_is_first -l require-signature -d 'Refuse an image that no trusted key has signed'
complete -c twistd -n __tapkit_is_first -l allow-rollback -d 'Run an image older than the last one that ran'
complete -c twistd -n __tapkit_is_first -s o -l no_save -d 'Do not save the state at stop'
complete -c twistd -n __tapkit_is_first -l save-every -x -d 'Save a snapshot of the state every SECS seconds, beside those that are asked for'
complete -c twistd -n __tapkit_is_first -l keep -x -d 'Keep N generations of snapshots, and of states saved at stops'
complete -c twistd -n __tapkit_is_first -l resume -d 'Start from the newest whole one of the image, the states saved at stops, and the snapshots in --rundir'
complete -c twistd -n __tapkit_is_first -s d -l rundir -x -a '(__tapkit_folders)' -d 'Change there first'
complete -c twistd -n __tapkit_is_first -s l -l logfile -r -F -d 'Log to FILE, - for standard output'
complete -c twistd -n __tapkit_is_first -l syslog -d 'Log to the syslog daemon instead'
complete -c twistd -n __tapkit_is_first -l prefix -x -d 'The program name in syslog'
complete -c twistd -n __tapkit_is_first -l pidfile -r -F -d 'Keep the process number in FILE [default'
complete -c twistd -n __tapkit_is_first -l log-size -x -d 'Begin a new log file when SIZE is reached'
complete -c twistd -n __tapkit_is_first -l log-keep -x -d 'Keep N old log files, twistd.log.1 and on [default'
complete -c twistd -n __tapkit_is_first -l log-format -x -a 'text json' -d 'text, or json'
complete -c twistd -n __tapkit_is_first -l umask -x -d 'The mode bits that files made by the daemon do not get'
complete -c twistd -n __tapkit_is_first -l chroot -x -a '(__tapkit_folders)' -d 'Once the ports are bound, make DIRECTORY the root directory'
complete -c twistd -n __tapkit_is_first -s u -l uid -x -a '(__fish_complete_users)' -d 'Become this user'
complete -c twistd -n __tapkit_is_first -s g -l gid -x -a '(__fish_complete_groups)' -d 'Become this group'
complete -c twistd -n __tapkit_is_first -l euid -d 'Change only the effective user and group'
complete -c twistd -n __tapkit_is_first -l originalname -d 'Leave the process\'s name as it is'
complete -c twistd -n __tapkit_is_first -l workers -x -d 'Serve by N processes on the same ports, from one loaded image'
complete -c twistd -n __tapkit_is_first -s r -l reactor -x -a 'asyncio uvloop' -d 'The event loop to use'
complete -c twistd -n __tapkit_is_first -s q -l quiet -d 'Log only warnings and errors'
complete -c twistd -n __tapkit_is_first -l start-timeout -x -d 'Give the start SECS seconds, then stop it and fail'
complete -c twistd -n __tapkit_is_first -l drain-timeout -x -d 'At stop, give open connections SECS seconds to finish'
complete -c twistd -n __tapkit_is_first -l stop-timeout -x -d 'Give each service SECS seconds to stop, then go on without it'
complete -c twistd -n __tapkit_is_first -s b -l debug -d 'Run under the debugger'
complete -c twistd -n __tapkit_is_first -l spew -d 'Write every call of a Python function to standard error'
complete -c twistd -n __tapkit_is_first -s p -l profile -r -F -d 'Profile the whole run, and write what was measured to FILE'
complete -c twistd -n __tapkit_is_first -l savestats -d 'Write it as data for `python -m pstats`, not as text'
complete -c twistd -n __tapkit_is_first -l profiler -x -a 'cprofile profile' -d 'What to profile with, cprofile or profile [default'
complete -c twistd -n __tapkit_is_first -l help-reactors -d 'Show the event loops'
complete -c twistd -n __tapkit_is_first -s h -l help -d 'Show this, and the commands'
complete -c twistd -n __tapkit_is_first -l version -d 'Show the version'
complete -c twistd -n __tapkit_is_first -x -a '(__tapkit_images)'
complete -c twistd -n __tapkit_is_first -x -a '(__tapkit_builders)'
complete -c twistd -n __tapkit_is_past_first -F -a '(__tapkit_builder_options)'

complete -c tapctl -n __tapkit_is_first -f -a audit -d 'Tell what an image would import, call and build'
complete -c tapctl -n __tapkit_is_first -f -a bundle -d 'Make one file of an image, tapkit and its dependencies'
complete -c tapctl -n __tapkit_is_first -f -a check -d 'Tell whether an image fits the code that is here'
complete -c tapctl -n __tapkit_is_first -f -a completion -d 'Print what makes a shell complete mktap, twistd, tapconvert and tapctl'
complete -c tapctl -n __tapkit_is_first -f -a diff -d 'Tell what differs between two images, of any forms'
complete -c tapctl -n __tapkit_is_first -f -a edit -d 'Edit an image of any form as XML, in your editor'
complete -c tapctl -n __tapkit_is_first -f -a inspect -d 'Tell what is in an image of any form'
complete -c tapctl -n __tapkit_is_first -f -a keygen -d 'Make a key to sign images with'
complete -c tapctl -n __tapkit_is_first -f -a list -d 'List the daemons that run'
complete -c tapctl -n __tapkit_is_first -f -a logs -d 'Show the end of a daemon\'s log'
complete -c tapctl -n __tapkit_is_first -f -a reload -d 'Put a new process in a daemon\'s place'
complete -c tapctl -n __tapkit_is_first -f -a sign -d 'Sign an image, as it is'
complete -c tapctl -n __tapkit_is_first -f -a snapshot -d 'Save the state of a daemon, which goes on serving, and wait until it is on the disk'
complete -c tapctl -n __tapkit_is_first -f -a status -d 'Tell whether a daemon runs, and how it does'
complete -c tapctl -n __tapkit_is_first -f -a stop -d 'Stop a daemon, and wait until it has saved its state and is gone'
complete -c tapctl -n __tapkit_is_first -f -a top -d 'Watch the daemons that run'
complete -c tapctl -n __tapkit_is_first -f -a unit -d 'Print a systemd unit that runs an image'
complete -c tapctl -n __tapkit_is_first -f -a verify -d 'Tell who signed an image, and whether twistd --require-signature would run it'
complete -c tapctl -n '__tapkit_is_in audit' -l allow -x -d 'Expect this package or module in it'
complete -c tapctl -n '__tapkit_is_in audit' -l undeclared -d 'Take no package as declared by the image\'s own header'
complete -c tapctl -n '__tapkit_is_in audit' -l json -d 'Print it as JSON, described in the module tapkit.scripts.ctl_audit'
complete -c tapctl -n '__tapkit_is_in audit' -l all -d 'Show all names and all code, however many'
complete -c tapctl -n '__tapkit_is_in audit' -l passphrase-file -r -F -d 'The passphrase of an encrypted image is the first line of FILE'
complete -c tapctl -n '__tapkit_is_in audit' -l passphrase-fd -x -d 'It comes from the open descriptor N'
complete -c tapctl -n '__tapkit_is_in audit' -l identity -r -F -d 'Open it with this age identity, or ssh key'
complete -c tapctl -n '__tapkit_is_in audit' -s h -l help -d 'Show this'
complete -c tapctl -n '__tapkit_is_in audit' -x -a '(__tapkit_images)'
complete -c tapctl -n '__tapkit_is_in bundle' -s o -l output -r -F -d 'Write this file'
complete -c tapctl -n '__tapkit_is_in bundle' -s f -l force -d 'Also where the image needs modules that will not be inside'
complete -c tapctl -n '__tapkit_is_in bundle' -s h -l help -d 'Show this'
complete -c tapctl -n '__tapkit_is_in bundle' -x -a '(__tapkit_images)'
complete -c tapctl -n '__tapkit_is_in check' -l strict -d 'Take warnings for problems'
complete -c tapctl -n '__tapkit_is_in check' -l json -d 'Print it as JSON'
complete -c tapctl -n '__tapkit_is_in check' -l passphrase-file -r -F -d 'The passphrase of an encrypted image is the first line of FILE'
complete -c tapctl -n '__tapkit_is_in check' -l passphrase-fd -x -d 'It comes from the open descriptor N'
complete -c tapctl -n '__tapkit_is_in check' -l identity -r -F -d 'Open it with this age identity, or ssh key'
complete -c tapctl -n '__tapkit_is_in check' -s h -l help -d 'Show this'
complete -c tapctl -n '__tapkit_is_in check' -x -a '(__tapkit_images)'
complete -c tapctl -n '__tapkit_is_in completion' -s h -l help -d 'Show this'
complete -c tapctl -n '__tapkit_is_in completion' -x -a 'bash fish zsh'
complete -c tapctl -n '__tapkit_is_in diff' -s q -l quiet -d 'Print nothing'
complete -c tapctl -n '__tapkit_is_in diff' -l json -d 'Print a JSON array of objects with path, kind'
complete -c tapctl -n '__tapkit_is_in diff' -l passphrase-file -r -F -d 'The passphrase of an encrypted image is the first line of FILE'
complete -c tapctl -n '__tapkit_is_in diff' -l passphrase-fd -x -d 'It comes from the open descriptor N'
complete -c tapctl -n '__tapkit_is_in diff' -l identity -r -F -d 'Open it with this age identity, or ssh key'
complete -c tapctl -n '__tapkit_is_in diff' -s h -l help -d 'Show this'
complete -c tapctl -n '__tapkit_is_in diff' -x -a '(__tapkit_images)'
complete -c tapctl -n '__tapkit_is_in edit' -s k -l sign -x -d 'Sign what is written with the private key in the file KEY'
complete -c tapctl -n '__tapkit_is_in edit' -l passphrase-file -r -F -d 'The passphrase of an encrypted image is the first line of FILE'
complete -c tapctl -n '__tapkit_is_in edit' -l passphrase-fd -x -d 'It comes from the open descriptor N'
complete -c tapctl -n '__tapkit_is_in edit' -l identity -r -F -d 'Open it with this age identity'
complete -c tapctl -n '__tapkit_is_in edit' -l recipient -x -d 'Encrypt what is written for the holder of KEY, in place of how it was encrypted'
complete -c tapctl -n '__tapkit_is_in edit' -s h -l help -d 'Show this'
complete -c tapctl -n '__tapkit_is_in edit' -x -a '(__tapkit_images)'
complete -c tapctl -n '__tapkit_is_in inspect' -l all -d 'Show all services and classes, however many'
complete -c tapctl -n '__tapkit_is_in inspect' -l graph -r -F -d 'Draw the objects, what they share and how they refer to each other, as SVG'
complete -c tapctl -n '__tapkit_is_in inspect' -l source -d 'Print the source text that the image carries, file after file, instead'
complete -c tapctl -n '__tapkit_is_in inspect' -l json -d 'Print it as JSON, described in the module tapkit.scripts.ctl_inspect'
complete -c tapctl -n '__tapkit_is_in inspect' -l passphrase-file -r -F -d 'The passphrase of an encrypted image is the first line of FILE'
complete -c tapctl -n '__tapkit_is_in inspect' -l passphrase-fd -x -d 'It comes from the open descriptor N'
complete -c tapctl -n '__tapkit_is_in inspect' -l identity -r -F -d 'Open it with this age identity, or ssh key'
complete -c tapctl -n '__tapkit_is_in inspect' -s h -l help -d 'Show this'
complete -c tapctl -n '__tapkit_is_in inspect' -x -a '(__tapkit_images)'
complete -c tapctl -n '__tapkit_is_in keygen' -s a -l applications -x -d 'Good for these applications alone'
complete -c tapctl -n '__tapkit_is_in keygen' -s e -l expires -x -d 'Good until this day, such as 2027-12-31, or for so many days'
complete -c tapctl -n '__tapkit_is_in keygen' -s c -l comment -x -d 'Whose it is, to be shown'
complete -c tapctl -n '__tapkit_is_in keygen' -s h -l help -d 'Show this'
complete -c tapctl -n '__tapkit_is_in keygen' -F
complete -c tapctl -n '__tapkit_is_in list' -l json -d 'Print a JSON array of what `tapctl status --json` prints'
complete -c tapctl -n '__tapkit_is_in list' -s h -l help -d 'Show this'
complete -c tapctl -n '__tapkit_is_in list' -f
complete -c tapctl -n '__tapkit_is_in logs' -s f -l follow -d 'Go on showing what is added, until Ctrl-C'
complete -c tapctl -n '__tapkit_is_in logs' -s n -l lines -x -d 'Show NUM lines, 0 for none of what is there [default'
complete -c tapctl -n '__tapkit_is_in logs' -s h -l help -d 'Show this'
complete -c tapctl -n '__tapkit_is_in logs' -x -a '(__tapkit_daemons)'
complete -c tapctl -n '__tapkit_is_in reload' -l from -x -a 'image state' -d 'Start from the `image` file, or from the `state` the daemon has'
complete -c tapctl -n '__tapkit_is_in reload' -l timeout -x -d 'Wait SECS seconds'
complete -c tapctl -n '__tapkit_is_in reload' -s h -l help -d 'Show this'
complete -c tapctl -n '__tapkit_is_in reload' -x -a '(__tapkit_daemons)'
complete -c tapctl -n '__tapkit_is_in sign' -s k -l key -r -F -d 'The private key, as tapctl keygen makes it'
complete -c tapctl -n '__tapkit_is_in sign' -s n -l name -x -d 'The application in the image'
complete -c tapctl -n '__tapkit_is_in sign' -l passphrase-file -r -F -d 'To ask an encrypted image'
complete -c tapctl -n '__tapkit_is_in sign' -l passphrase-fd -x -d 'Its passphrase comes from the open descriptor N'
complete -c tapctl -n '__tapkit_is_in sign' -l identity -r -F -d 'Open it with this age identity, or ssh key'
complete -c tapctl -n '__tapkit_is_in sign' -s h -l help -d 'Show this'
complete -c tapctl -n '__tapkit_is_in sign' -x -a '(__tapkit_images)'
complete -c tapctl -n '__tapkit_is_in snapshot' -l timeout -x -d 'Wait SECS seconds'
complete -c tapctl -n '__tapkit_is_in snapshot' -s h -l help -d 'Show this'
complete -c tapctl -n '__tapkit_is_in snapshot' -x -a '(__tapkit_daemons)'
complete -c tapctl -n '__tapkit_is_in status' -l json -d 'Print it as JSON, described in the module tapkit.scripts.ctl_status'
complete -c tapctl -n '__tapkit_is_in status' -s h -l help -d 'Show this'
complete -c tapctl -n '__tapkit_is_in status' -x -a '(__tapkit_daemons)'
complete -c tapctl -n '__tapkit_is_in stop' -l no-save -d 'Do not save'
complete -c tapctl -n '__tapkit_is_in stop' -l timeout -x -d 'Wait SECS seconds'
complete -c tapctl -n '__tapkit_is_in stop' -s h -l help -d 'Show this'
complete -c tapctl -n '__tapkit_is_in stop' -x -a '(__tapkit_daemons)'
complete -c tapctl -n '__tapkit_is_in top' -l every -x -d 'Look again after SECS seconds [default'
complete -c tapctl -n '__tapkit_is_in top' -l once -d 'Print the table once, as it does where standard output is no terminal'
complete -c tapctl -n '__tapkit_is_in top' -s h -l help -d 'Show this'
complete -c tapctl -n '__tapkit_is_in top' -f
complete -c tapctl -n '__tapkit_is_in unit' -l socket -d 'Print the socket unit instead, for systemd to listen on the image\'s ports'
complete -c tapctl -n '__tapkit_is_in unit' -s h -l help -d 'Show this'
complete -c tapctl -n '__tapkit_is_in unit' -x -a '(__tapkit_images)'
complete -c tapctl -n '__tapkit_is_in verify' -s k -l key -r -F -d 'Trust this public key'
complete -c tapctl -n '__tapkit_is_in verify' -l allow-rollback -d 'Let it be older than the last one that ran'
complete -c tapctl -n '__tapkit_is_in verify' -s h -l help -d 'Show this'
complete -c tapctl -n '__tapkit_is_in verify' -x -a '(__tapkit_images)'
