#!/usr/bin/perl
# Real messages, where a collection of them stands beside the checkout: a folder with
# messages and an expected.json that tells, for each, what several independent parsers
# agree on. MW_CORPUS names it. Where we differ with reason, 230-corpus-exceptions.txt
# says why.
use strict;
use warnings;
use JSON::PP;
use Test::More;

my $mailwitness = $ENV{MAILWITNESS} or BAIL_OUT('MAILWITNESS names the program to test');
my $corpus = $ENV{MW_CORPUS} || "$ENV{top_srcdir}/../shared/corpus";
plan skip_all => 'no collection of real messages here (MW_CORPUS)' if !-e "$corpus/expected.json";
binmode Test::More->builder->$_, ':utf8' for qw(output failure_output);

sub slurp {
    my ($name) = @_;
    open my $in, '<:raw', $name or die "$name: $!";
    local $/;
    return scalar <$in>;
}

my %excepted;
for my $line (split /\n/, slurp("$ENV{top_srcdir}/t/230-corpus-exceptions.txt")) {
    next if $line =~ /^(?:#|\s*$)/;
    my ($name, $facts) = $line =~ /^(\S+)\s+([a-z_,]+)\s+\S/ or die "230-corpus-exceptions.txt: $line";
    $excepted{"$name $_"} = 1 for split /,/, $facts;
}

sub squeeze { my ($text) = @_; $text //= q{}; $text =~ s/\s+/ /g; $text =~ s/^ | $//g; return $text }
sub addresses { return join ' ', sort map { lc($_->{address} // q{}) } grep { $_->{address} } @{ $_[0] || [] } }

# What a message's report lacks of what is expected: fact => sentence.
sub differences {
    my ($expected, $report) = @_;
    my (%found, %left, %names);
    $left{ $_->{sha256} }++ for @{ $report->{attachments} }, @{ $report->{text_parts} };
    push @{ $names{ $_->{sha256} } }, $_->{filename_raw} // $_->{filename} for @{ $report->{attachments} };
    for my $kind (qw(parts text_parts)) {
        for my $part (@{ $expected->{$kind} }) {
            my ($hit) = grep { $left{$_} } @{ $part->{sha256_accept} || [$part->{sha256}] };
            if (!$hit) {
                $found{$kind} = "no part of $part->{size} bytes, $part->{content_type}";
                next;
            }
            $left{$hit}--;
            $found{filename} = "no name $part->{filename}"
                if $part->{filename_agreed} && defined $part->{filename}
                && !grep { ($_ // q{}) eq $part->{filename} } @{ $names{$hit} || [] };
        }
    }
    for my $field (qw(from to)) {
        my $wanted = $expected->{"${field}_addr"} or next;
        my $got = addresses($report->{$field});
        $found{$field} = "'$got'" if $got ne join ' ', sort map { lc } @{$wanted};
    }
    $found{subject} = $report->{subject}
        if defined $expected->{subject} && squeeze($expected->{subject}) ne squeeze($report->{subject});
    if ($expected->{message_id}) {
        my $id = $expected->{message_id} =~ s/^<|>$//gr;
        $found{message_id} = $report->{message_id} if $id ne ($report->{message_id} // q{});
    }
    return %found;
}

my $expected = decode_json(slurp("$corpus/expected.json"));
for my $name (sort keys %{$expected}) {
    my $file = "$corpus/$name";
    my $report = decode_json(scalar qx($mailwitness scan --jsonl '$file'));
    my %found = differences($expected->{$name}, $report);
    my @unexplained = grep { !$excepted{"$name $_"} } sort keys %found;
    ok(!@unexplained, "$name: what parsers agree on is in the report")
        or diag(map { "$_: $found{$_}\n" } @unexplained);
    delete $excepted{"$name $_"} for keys %found;
}
is(join(', ', sort keys %excepted), q{}, 'every exception is still one');
done_testing();
