#!/usr/bin/perl
# Each sample message: the report has every fact promised in its facts/NAME.json
# (made by t/fixtures/make from the pieces of the message, not from our output).
use strict;
use warnings;
use Encode qw(encode_utf8);
use File::Temp qw(tempfile);
use JSON::PP;
use Test::More;

my $mailwitness = $ENV{MAILWITNESS} or BAIL_OUT('MAILWITNESS names the program to test');
my $folder = "$ENV{top_srcdir}/t/fixtures/messages";
binmode Test::More->builder->$_, ':utf8' for qw(output failure_output);

sub slurp {
    my ($name) = @_;
    open my $in, '<:raw', $name or die "$name: $!";
    local $/;
    return scalar <$in>;
}

sub show {
    my ($value) = @_;
    return JSON::PP->new->canonical->allow_nonref->encode($value);
}

# The first difference between what is promised and what there is, or undef.
# Objects may have more than is promised; lists must have as many.
sub difference {
    my ($place, $wanted, $got) = @_;
    return undef if !ref $wanted && $wanted eq '*';
    return "$place is missing, wanted " . show($wanted) if !defined $got;
    return "$place is " . show($got) . ', wanted ' . show($wanted) if ref $wanted ne ref $got;
    if (ref $wanted eq 'HASH') {
        for my $key (sort keys %{$wanted}) {
            if (!defined $wanted->{$key}) {
                return "$place.$key should not be there: $got->{$key}" if defined $got->{$key};
                next;
            }
            my $found = difference("$place.$key", $wanted->{$key}, $got->{$key});
            return $found if $found;
        }
        return undef;
    }
    if (ref $wanted eq 'ARRAY') {
        return undef if @{$wanted} == 1 && !ref $wanted->[0] && $wanted->[0] eq '*';
        return "$place has " . @{$got} . ' entries, wanted ' . @{$wanted} . ': ' . show($got)
            if @{$wanted} != @{$got};
        for my $i (0 .. $#{$wanted}) {
            my $found = difference("$place\[$i]", $wanted->[$i], $got->[$i]);
            return $found if $found;
        }
        return undef;
    }
    return $wanted eq $got ? undef : "$place is " . show($got) . ', wanted ' . show($wanted);
}

my $facts_folder = "$ENV{top_srcdir}/t/fixtures/facts";
my @names = map { m{([^/]+)[.]json$} ? $1 : () } sort glob "$facts_folder/*.json";
cmp_ok(scalar @names, '>=', 60, 'there are at least 60 sample messages');
my $all = q{};
for my $name (@names) {
    open my $scan, '-|', $mailwitness, 'scan', '--jsonl', "$folder/$name.eml" or die $!;
    my $output = do { local $/; <$scan> };
    close $scan;
    $all .= $output;
    my $report = eval { decode_json($output) } || {};
    my $facts = decode_json(slurp("$facts_folder/$name.json"));
    $report->{errors} = [map { $_->{name} } @{ $report->{errors} || [] }];
    my $found = difference('report', $facts, $report);
    ok(!$found, "$name: the report has what is in the message") or diag($found);
}

# What a program that reads $all says and how it ends.
sub pass_through {
    my (@command) = @_;
    my ($file, $path) = tempfile(UNLINK => 1);
    print {$file} $all;
    close $file or die $!;
    my $text = qx(@command < $path);
    return ($text, $? >> 8);
}
{
    my ($text, $status) =
        pass_through("python3 $ENV{top_srcdir}/t/validate $ENV{top_srcdir}/doc/report.schema.json");
    is($status, 0, 'every report conforms to doc/report.schema.json') or diag($text);
}
{
    my ($text) = pass_through("$ENV{top_builddir}/roundtrip");
    ok($text eq $all, 'every report read back is written the same');
}
done_testing();
