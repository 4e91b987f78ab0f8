#!/usr/bin/perl
# Completion asks the program, so that what `mailwitness help` tells is offered.
use strict;
use warnings;
use File::Basename qw(dirname);
use File::Temp qw(tempdir);
use Test::More;

my $mailwitness = $ENV{MAILWITNESS} or BAIL_OUT('MAILWITNESS names the program to test');
my $folder = "$ENV{top_srcdir}/contrib/completion";
my $dir = tempdir(CLEANUP => 1);
$ENV{PATH} = dirname($mailwitness) . ":$ENV{PATH}";

# What bash offers for the last of words.
sub offered {
    my (@words) = @_;
    my $script = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _mailwitness;'
        . ' printf "%s\n" "${COMPREPLY[@]}"';
    open my $out, '-|', 'bash', '-c', $script, 'bash', "$folder/mailwitness.bash", 'mailwitness', @words
        or die $!;
    chomp(my @lines = <$out>);
    close $out;
    return sort grep { $_ ne q{} } @lines;
}

sub help { my (@arguments) = @_; return scalar qx($mailwitness help @arguments) }

my @commands = help() =~ /^  ([a-z][a-z-]*) /mg;
cmp_ok(scalar @commands, '>', 3, 'help lists commands');
is_deeply([offered(q{})], [sort @commands, '--help', '--version'], 'every command is offered');
is_deeply([offered('help', q{})], [sort @commands], 'help completes with every command');
is_deeply([offered('sca')], ['scan'], 'what was typed narrows it');
for my $command (grep { $_ ne 'help' } @commands) {
    my $help = help($command);
    my %options = map { $_ => 1 } $help =~ /(--[a-z][a-z-]*)/g;
    is_deeply([offered($command, '--')], [sort keys %options], "every option of $command is offered");
    my %below = map { $_ => 1 } $help =~ /^(?:usage:)?\s+mailwitness \Q$command\E ([a-z][a-z-]*)/mg;
    next if !%below;
    is_deeply([offered($command, q{})], [sort keys %below], "what $command does is offered");
}
{
    open my $file, '>', "$dir/message.eml" or die $!;
    close $file;
    is_deeply([offered('scan', "$dir/mess")], ["$dir/message.eml"], 'files are offered elsewhere');
}
SKIP: {
    skip 'no zsh here', 2 if system('command -v zsh >/dev/null 2>&1') != 0;
    # A terminal of zsh's own, in which the tab key is pressed.
    my $script = <<'END';
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "PS1=; fpath=($1 \$fpath); autoload -U compinit; compinit -u -d $2/dump; unsetopt zle_bracketed_paste; setopt no_list_beep; LISTMAX=1000; bindkey '^I' complete-word"
zpty -w shell 'echo rea''dy'
zpty -r shell line '*ready*'
zpty -w -n shell "$3"$'\t\t'
repeat 50; do zpty -r -t shell line && print -rn -- $line; sleep 0.1; [[ -n $4 && $all == *$4* ]] && break; all+=$line; done
zpty -d shell
END
    for my $case (['mailwitness sca', 'mailwitness scan'], ['mailwitness bloom cre', 'bloom create']) {
        my ($typed, $wanted) = @{$case};
        open my $out, '-|', 'zsh', '-f', '-c', $script, 'zsh', $folder, $dir, $typed, $wanted or die $!;
        my $text = do { local $/; <$out> };
        close $out;
        like($text, qr/\Q$wanted\E/, "zsh completes '$typed'");
    }
}
done_testing();
