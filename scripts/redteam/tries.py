"""All tries, in the order in which they can be made at one app."""

from __future__ import annotations

from collections.abc import Callable

from scripts.redteam import calls, connections, doors, fairness, uploads
from scripts.redteam.target import Target

Try = Callable[[Target], tuple[bool, str]]
FIRST: tuple[Try, ...] = (connections.fifty_megapixels_twelve_times,)  # its memory is that of a new process
WAITING: tuple[Try, ...] = (  # a minute each, until something is deleted; the others go on meanwhile
    uploads.pages_left_four_ways,
    calls.page_closed_in_a_batch,
    uploads.empty_files,
)
_SECONDS: tuple[Try, ...] = (
    doors.fetched_addresses,
    doors.other_hosts_and_sites,
    doors.closed_routes,
    doors.forged_pictures,
    doors.guessed_uploads,
    calls.two_functions_in_one_call,
    calls.odd_numbers,
    calls.lying_headers,
    calls.unread_answers,
    calls.forged_reports,
    calls.maps_named_as_paths,
    uploads.past_the_quotas,
    fairness.crowded_pairing,
    fairness.log_volume,
    uploads.bad_members_of_a_zip,
    uploads.paths_of_an_archive,
)
MEANWHILE: tuple[Try, ...] = (
    *_SECONDS,
    doors.reports_to_others,
    doors.every_field,
    calls.invented_sessions,
    connections.attacks_at_once,
    connections.questions_at_once,
)
_CROWDED: tuple[Try, ...] = (connections.never_reading, connections.half_open_connections)
LAST: tuple[Try, ...] = (  # what they measure, or whom they shut out, the others would change
    *_CROWDED,
    connections.pages_that_do_not_come,
    calls.calls_of_closed_pages,
    fairness.metadata_bombs,
    fairness.agents_account,
    fairness.sixteen_pages,
    fairness.strips_to_purify,
    fairness.many_parts,
    fairness.many_profiles,
    fairness.tables_again,
    uploads.reports_that_count,
    uploads.raced_uploads,
    connections.stalled_uploads,
)
ALL: tuple[Try, ...] = (*FIRST, *WAITING, *MEANWHILE, *LAST)
QUICK: tuple[Try, ...] = (*_SECONDS, *_CROWDED)  # these run with the tests
