/*
 * The flush protocol of dispatch/ and pgsluice.advance: two replicas, one partition with the records
 * 0..N-1, and FAULTS faults of any kind at any time. check.sh runs it, whole and BROKEN.
 * What follows at once is one step: a claim's answer and queue_reconcile (so CLAIMING is never seen), a
 * flush's end and its outcome. Left out: UNROUTED and HALTED, librdkafka, SQL. A record is its offset.
 * Nothing goes round without a fault, so every run ends, and `live` needs no fairness.
 */
mtype = { NOTHING, NOCAS, NOEPOCH, NOFROM, KAFKAOFF, TWOTX, RESEND, DLQOUT, NOFREE, LOSTROW };
mtype:state = { REVOKED, UNCLAIMED, UNPLACED, OPEN }; /* enum queue_state; REVOKED: not assigned */
mtype:outcome = { GOES_ON, STARTS, OVERTAKEN, REWOUND }; /* enum queue_outcome */
mtype:query = { IDLE, SENT, LOCKED, COPIED };            /* LOCKED: waits for its client's rows */
mtype:end = { COMMITTED, REFUSED, ROLLED_BACK, FENCED, LOST };

#define POISON 1   /* PostgreSQL refuses this record as a row */
#define NOBODY 3   /* no replica, no backend */
#define UNKNOWN 15 /* a position; as next_offset: there is no row */

typedef queue { /* holds one batch, position <= offset < to; dead: the poison is a dead letter in it */
    mtype:state state = REVOKED; bool dead; byte position = UNKNOWN; byte to; byte epoch; byte flush = NOBODY };
typedef backend { mtype:query query = IDLE; bool dead; byte from; byte to; byte epoch; byte client = NOBODY };
queue queues[2]; backend backends[3];
byte next_offset = UNKNOWN, epoch, rows, dead; /* what is committed; rows and dead letters are bits */
byte row_lock = NOBODY;                        /* the backend that holds the row of pgsluice.offsets */
byte owner, frozen = NOBODY, faults = FAULTS;  /* whom the group has assigned; who is stopped; to come */
byte told;                                     /* committed to Kafka; kept where something reads it */
bool went_back;                                /* the database */
hidden mtype:outcome outcome; hidden byte any;

#define q queues[id]
#define s backends[b]
#define is_idle(b) (backends[b].query == IDLE)
#define idle (is_idle(0) -> 0 : (is_idle(1) -> 1 : (is_idle(2) -> 2 : NOBODY)))
#define written (next_offset == UNKNOWN -> 0 : (1 << next_offset) - 1)
#define check_prefix() assert(rows == (written & ~(1 << POISON)) && dead == (written & (1 << POISON)))
#define refused (s.from <= POISON && POISON < s.to && !s.dead)
#define advances (BROKEN == NOCAS || \
    ((BROKEN == NOEPOCH || s.epoch == epoch) && (BROKEN == NOFROM || s.from == next_offset)))
#define hears(id) frozen != id && ((owner == id) != (queues[id].state != REVOKED))

inline forget(id) {
    q.state = REVOKED; q.dead = false; q.position = UNKNOWN; q.to = 0; q.epoch = 0; q.flush = NOBODY }
inline end_backend(b) {
    s.query = IDLE; s.dead = false; s.from = 0; s.to = 0; s.epoch = 0; s.client = NOBODY;
    row_lock = (row_lock == b -> NOBODY : row_lock) }
inline orphan(b) { /* its client is gone: it has got all rows by now, or waits for them for ever */
    if :: s.query == LOCKED && !refused -> s.query = COPIED :: true fi; s.client = NOBODY }
inline outcome_of_flush(id, b, end) { /* heard by a client that is there and still has the queue */
    if :: id == NOBODY || q.flush != b :: else -> q.flush = NOBODY;
        if :: end == COMMITTED -> q.position = q.to; q.dead = false;
            if :: BROKEN == KAFKAOFF || BROKEN == LOSTROW -> told = q.to :: true fi
        :: end == REFUSED -> q.dead = true; dead = dead | ((BROKEN == DLQOUT) << POISON)
        :: end == FENCED || (end == LOST && BROKEN != RESEND) -> q.state = UNCLAIMED
        :: else /* again */ fi fi }
inline queue_reconcile(id, stored) { /* GOES_ON: the batch is still right, or committed */
    if :: q.position == UNKNOWN -> outcome = STARTS
    :: q.position != UNKNOWN && stored < q.position -> outcome = REWOUND; assert(went_back)
    :: q.position < stored && stored < q.to -> outcome = OVERTAKEN
    :: else -> outcome = GOES_ON fi;
    if :: outcome == GOES_ON && stored < q.to :: else -> q.to = stored; q.dead = false fi;
    q.position = stored; q.epoch = epoch; q.state = OPEN }
/* It waits for the row's lock; a holder that waits for its client is ended, but not one of our own. */
#define claimable(id) (row_lock == NOBODY || \
    (BROKEN != NOFREE && backends[row_lock].query == LOCKED && backends[row_lock].client != id))
inline claim(id) {
    if :: row_lock == NOBODY :: else -> any = backends[row_lock].client;
        outcome_of_flush(any, row_lock, LOST); end_backend(row_lock) fi;
    if :: next_offset == UNKNOWN && q.state != UNPLACED -> forget(id); q.state = UNPLACED
    :: else -> if :: next_offset != UNKNOWN :: else -> next_offset = told * (BROKEN == LOSTROW) fi;
        epoch++; check_prefix();
        any = (BROKEN == KAFKAOFF -> (told) : next_offset); queue_reconcile(id, any) fi }

active [2] proctype replica() {
    byte id = _pid, b;
    end: do /* a claim by one that has not heard that it is no longer the owner: a fault */
    :: atomic { frozen != id && (q.state == UNCLAIMED || q.state == UNPLACED) && claimable(id) &&
        (owner == id || faults > 0) -> faults = faults - (owner != id); claim(id) }
    :: atomic { frozen != id && q.state == OPEN && q.flush == NOBODY && q.position < N && idle != NOBODY ->
        if :: q.to > q.position :: else -> if :: q.to++ :: q.to + 2 <= N -> q.to = q.to + 2 fi fi;
        b = idle; q.flush = b; s.query = SENT; s.client = id;
        s.dead = q.dead; s.from = q.position; s.to = q.to; s.epoch = q.epoch; b = 0 } od }

active [3] proctype postgres() {
    byte b = _pid - 2, i;
    end: do
    :: atomic { s.query == SENT && !advances -> outcome_of_flush(s.client, b, FENCED); end_backend(b) }
    :: atomic { s.query == SENT && advances && row_lock == NOBODY -> s.query = LOCKED; row_lock = b;
        if :: s.client == NOBODY -> orphan(b) :: else fi; /* a flush without rows needs no client */
        if :: BROKEN == TWOTX -> next_offset = s.to; check_prefix() :: else fi }
    :: atomic { s.query == COPIED || (s.query == LOCKED && s.client != NOBODY && s.client != frozen) ->
        if :: refused -> outcome_of_flush(s.client, b, REFUSED)
        :: else -> for (i : s.from .. s.to - 1) { assert(((rows | dead) & (1 << i)) == 0);
                if :: i == POISON -> dead = dead | (1 << i) :: else -> rows = rows | (1 << i) fi }
            i = 0; next_offset = s.to; outcome_of_flush(s.client, b, COMMITTED) fi;
        end_backend(b); check_prefix() } od }

inline rebalance(id) { if :: owner == id -> q.state = UNCLAIMED :: else -> forget(id) fi }
active proctype group() { /* a replica hears late what it is assigned; a frozen one loses it */
    end: do :: atomic { owner == frozen -> owner = 1 - owner }
    :: atomic { hears(0) -> rebalance(0) } :: atomic { hears(1) -> rebalance(1) } od }

inline orphan_of(id, b) { if :: s.client == id -> orphan(b) :: else fi }
inline server_lost(id) { /* an open queue claims again; unless NOTICED, only one with a flush is sure to */
    if :: q.state == OPEN -> q.flush = NOBODY; q.state = UNCLAIMED
    :: !NOTICED && q.state == OPEN && q.flush == NOBODY :: q.state != OPEN fi }
active proctype nemesis() {
    byte b, id;
    end: do :: atomic { faults > 0 -> faults--; if /* what happens: */
        :: owner = 1 - owner                                           /* a rebalance */
        :: frozen == NOBODY -> frozen = owner :: frozen = NOBODY       /* SIGSTOP, SIGCONT, or nothing */
        :: next_offset != UNKNOWN && row_lock == NOBODY -> epoch++     /* a claim of which nobody hears */
        :: select (id : 0 .. 1); orphan_of(id, 0); orphan_of(id, 1); orphan_of(id, 2);    /* SIGKILL */
            forget(id); frozen = (frozen == id -> NOBODY : frozen); id = 0
        :: select (b : 0 .. 2); if :: s.client != NOBODY -> outcome_of_flush(s.client, b, LOST); orphan(b)
            :: s.query == LOCKED -> outcome_of_flush(s.client, b, ROLLED_BACK); end_backend(b) :: else fi; b = 0
        :: went_back = true; /* failover to a standby that lags: any earlier position and epoch */
            if :: next_offset < UNKNOWN -> select (any : 0 .. next_offset); next_offset = any
            :: next_offset = UNKNOWN fi; select (any : 0 .. epoch); epoch = any;
            rows = written & ~(1 << POISON); dead = written & (1 << POISON);
            end_backend(0); end_backend(1); end_backend(2); server_lost(0); server_lost(1) fi } od }
ltl live { <>[] (next_offset == N) }
