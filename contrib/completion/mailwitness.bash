# bash completion for mailwitness: asks the program itself, so it never ages.
_mailwitness() {
    local word=${COMP_WORDS[COMP_CWORD]} program=${COMP_WORDS[0]} command=${COMP_WORDS[1]}
    local help words=
    if [ "$COMP_CWORD" -eq 1 ] || { [ "$command" = help ] && [ "$COMP_CWORD" -eq 2 ]; }; then
        # "  name   what it does"
        words="$("$program" help 2>/dev/null | sed -n 's/^  \([a-z][a-z-]*\) .*/\1/p')"
        [ "$COMP_CWORD" -eq 2 ] || words="$words --version --help"
    else
        help=$("$program" help "$command" 2>/dev/null)
        case $word in
        -*) words=$(grep -o -- '--[a-z][a-z-]*' <<<"$help" | sort -u) ;;
        *)
            # "usage: mailwitness bloom create ..."
            [ "$COMP_CWORD" -gt 2 ] ||
                words=$(sed -n "s/^\(usage:\)\{0,1\} *mailwitness $command \([a-z][a-z-]*\).*/\2/p" <<<"$help" | sort -u)
            ;;
        esac
    fi
    if [ -n "$words" ]; then
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
    else
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
    fi
}
complete -F _mailwitness mailwitness
