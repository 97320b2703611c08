---@meta shm
-- shm.lua: the description of the Lua API, for editors (LuaLS) and readers. No code: nothing runs this
-- file. spec/meta_spec.lua holds it against the live module, both ways.
--
-- Everywhere: offsets and lengths are bytes, offsets count from 0, elements count from 1. Misuse (a wrong type,
-- a range outside the segment, a detached segment, a write to a readonly one) raises an error. What the world
-- may refuse returns nil, a sentence, and the name of the errno: `nil, message, "EEXIST"`. Only what has a
-- timeout waits for another process; a signal runs the script's hook meanwhile (Ctrl-C raises "interrupted!").
-- A timeout is a number of seconds: nil waits for ever, 0 only tries, and a negative timeout counts as 0. Locks that
-- their owners hold for nanoseconds, within one call, are waited for longer only if the owner is stopped or the memory
-- is damaged. Without a timeout such a wait ends after ten seconds: ETIMEDOUT, and the message names the process.
-- Memory that another process truncates raises SIGBUS, which the module's handler makes an EFAULT. The kernel ends a
-- process that blocks its own SIGBUS: so creating or attaching a segment or an arena unblocks SIGBUS in the calling
-- thread, and threads started later inherit that. A thread of a host that was started before with SIGBUS blocked, or
-- that blocks SIGBUS later (a daemon that waits with sigwait), must unblock SIGBUS before it uses the memory.
-- Lua code cannot crash the process, but for the library debug: the values of the module refer to each other by user
-- values, upvalues, metatables and the registry. A user value or an upvalue of another type raises. But a value that
-- debug.setuservalue, debug.setmetatable or debug.getregistry cuts off from what it belongs to, or from its metatable,
-- outlives it once that is collected, and using it may then crash.
-- A segment belongs to the Lua state that made it; other threads' states make their own. After fork, parent and
-- child each have the segment, and detach on their own.

---How a segment is called: an integer is a System V key, a string `"/name"` a POSIX object, `{id=n}` an
---existing System V segment by its identifier, nil anonymous memory (a memfd), which a forked child inherits.
---@alias shm.Name integer|string|{id: integer}|nil

---Bytes, at least 1; or a string with a unit of 1024: `"64K"`, `"1M"`, `"2G"`, `"1T"`.
---@alias shm.Size integer|string

---Permission bits: octal digits `"0640"`, or an integer.
---@alias shm.Mode string|integer

---The name of an errno; the README has a table of them.
---@alias shm.Errno string

---Options to attach with.
---@class shm.AttachOptions
---@field readonly? boolean writing raises (SHM_RDONLY, PROT_READ)
---@field address? integer where to map; the system chooses without it. As sharp as in C: memory that the process
---  was going to use (below its stack) is taken from it
---@field round? boolean round the address down to a page (SHM_RND); else it must be at the start of one
---@field mlock? boolean keep in memory, never swap (SHM_LOCK, mlock(2))
---@field populate? boolean fault in every page now (MADV_POPULATE_READ, MADV_POPULATE_WRITE)

---Options to create with.
---@class shm.CreateOptions: shm.AttachOptions
---@field mode? shm.Mode exactly these permission bits, whatever the umask; default `"0600"`
---@field huge? boolean huge pages (SHM_HUGETLB, MFD_HUGETLB); not for POSIX objects
---@field reserve? boolean false takes memory at first touch (SHM_NORESERVE); default true: all at creation,
---  so that a full machine is ENOSPC or ENOMEM here and not EFAULT later, and a full container (control group) is
---  ENOMEM here, with the numbers, and not SIGKILL. System V takes memory at first touch in any case, unless
---  `populate` says otherwise
---@field owned? boolean remove the name when the process that created it closes it or ends (by its last
---  line, an error or os.exit). SIGTERM without a handler, as any signal that kills it, leaves the name: handle
---  SIGTERM, or let shmlua run the script. Never in a forked child, and not where open has found what another created

---Status of a segment. A field that its backing does not know is nil.
---@class shm.Stat
---@field backing "sysv"|"posix"|"memfd"
---@field name? string POSIX: `"/name"`
---@field key? integer System V: the key, signed as C's key_t; 0 is IPC_PRIVATE, and what is marked for removal
---@field id? integer System V: the identifier
---@field size integer bytes
---@field mode string permission bits, octal: `"0600"`
---@field uid integer owner
---@field gid integer group of the owner
---@field cuid? integer System V: creator
---@field cgid? integer System V: group of the creator
---@field cpid? integer System V: process that created it
---@field creator_lives? boolean System V: false if no process has the number cpid. If another process has got the
---  number since, the creator counts as alive: in doubt, `shm rm --orphans` removes nothing. nil if cpid is of another
---  PID namespace
---@field lpid? integer System V: process that attached or detached last
---@field nattch? integer System V: how often it is attached, in all processes
---@field atime integer seconds since 1970; System V: last attach (0: never); others: last access
---@field dtime? integer System V: last detach, 0 for never
---@field ctime integer last change: System V: creation or `set`; others: of the inode
---@field mtime? integer POSIX, memfd: last modification
---@field seq? integer System V: sequence number in its slot of the kernel's table
---@field locked? boolean System V: SHM_LOCK is in force
---@field removed boolean its name is gone; it lives until the last detach
---@field allocated? integer POSIX, memfd: bytes of memory that it has now
---@field ino? integer POSIX, memfd: inode
---@field address? integer where it is mapped in this process (not in `shm.list`)
---@field readonly? boolean how it is mapped in this process (not in `shm.list`)

---What `shmlua -j N` gives to each of its N processes as `shm.worker`, which is nil elsewhere.
---@class shm.Worker
---@field index integer which one this is: 1 to count
---@field count integer how many there are
---@field arena shm.Arena what they share: anonymous, of the size that `--arena=SIZE` says

---Limits of the machine; math.maxinteger stands for none.
---@class shm.Limits
---@field page_size integer bytes
---@field huge_page_size integer bytes; 0 where the kernel has none
---@field shmmax integer SHMMAX: bytes of one System V segment, at most
---@field shmmin integer SHMMIN: bytes of one System V segment, at least
---@field shmmni integer SHMMNI: System V segments in all
---@field shmall integer SHMALL: pages of all System V segments together
---@field msgmax integer MSGMAX: bytes of one message of a System V queue, at most
---@field msgmnb integer MSGMNB: bytes of all messages in one queue, unless `queue:set` has changed that
---@field msgmni integer MSGMNI: System V message queues in all
---@field posix_size integer bytes of /dev/shm
---@field posix_free integer bytes of /dev/shm that are free
---@field memory_free integer bytes of memory that this process can still have: the least of what the machine and each
---  of its control groups leave, page cache and swap counted as free. Touching more can be SIGKILL
---@field memory_limit integer bytes that the control group may have (memory.max, memory.limit_in_bytes) which leaves
---  least; math.maxinteger if the machine itself leaves least

---What `segment:set` changes; a field left out stays.
---@class shm.Change
---@field mode? shm.Mode
---@field uid? integer
---@field gid? integer

---A piece of shared memory, attached to this process. `#segment` is its size in bytes; tostring says what it
---is. `<close>` and garbage collection detach it; the name stays, unless it is owned.
---@class shm.Segment
---@operator len: integer
local Segment = {}

---The type of an element, in this machine's byte order.
---@alias shm.Type "i8"|"u8"|"i16"|"u16"|"i32"|"u32"|"i64"|"u64"|"f32"|"f64"

---The order of an atomic operation, as C11's memory_order.
---@alias shm.Order "relaxed"|"acquire"|"release"|"acq_rel"|"seq_cst"

---Elements of one type in a segment: `v[i]` (nil past the end), `v[i] = x` (raises past the end), `#v`, ipairs,
---pairs, tostring. Elements count from 1. A value that does not fit the type raises, and nothing is written: 300
---into u8, 1.5 into i32, a string. A u64 from 2^63 on is the negative integer with its bits. A view keeps its
---segment alive; once that is detached, or has become too short, or has lost its memory, every use raises. Plain
---accesses are not atomic.
---@class shm.View
---@field [integer] number
---@operator len: integer
local View = {}

---The layout of a C struct: offsets, alignment and padding are the C compiler's. tostring says what it is.
---@class shm.Layout
---@field name string
---@field size integer bytes, as sizeof says
---@field align integer bytes, as _Alignof says
---@field offset table<string, integer> a field's name to its offset in bytes, as offsetof says; a plain table
local Layout = {}

---A record in a segment, which it keeps. `q.id` and `q.id = x` load and store a field; where a field has a
---method's name the field wins, and `Layout.set(q, t)`, `Layout.totable(q)` are the methods still. A char array is
---a string up to its NUL, padded with NULs when stored; an array of numbers is a `shm.View`, a layout a
---`shm.Record`, an array of one a `shm.RecordArray`: each made once for this handle, and stored to from a table.
---pairs walks the fields in their order; tostring says what it is. A value that does not fit, or a field that there
---is not, raises and nothing is written; so does the use of a detached segment, one that has become too short or
---has lost memory, and writing to a readonly one. The offset need not be aligned.
---@class shm.Record
---@field [string] any
local Record = {}

---Records of one layout in a row: `quotes[i]` is a `shm.Record` (made anew each time), nil past the end;
---`quotes[i] = {...}` stores as `record:set` does, and raises past the end. `#`, ipairs, pairs and tostring work.
---@class shm.RecordArray
---@field [integer] shm.Record
---@operator len: integer
local RecordArray = {}

---Named objects in one segment, for any number of processes. Whoever is killed, at whatever instruction, leaves
---nothing that others wait for and nothing half made. An object is found by its name, or made, all zero; asked for
---again through the same arena, a lock is the same userdata. Closing the arena (`<close>`, collection) closes all that
---was opened through it: views raise, and a mutex that is held is abandoned. After fork both processes have the
---arena, and the child owns no lock that the parent owns. tostring says what it is.
---
---An arena that was created with `reserve = false` takes memory when an object is made: if the system has not so much,
---all calls that make one return ENOMEM, and the arena is as before.
---@class shm.Arena
local Arena = {}

---What the directory of an arena says of an object.
---@class shm.ArenaEntry
---@field name string
---@field kind "array"|"record"|"mutex"|"rwlock"|"semaphore"|"condition"|"barrier"|"channel"|"topic"|"service"|"dict"
---@field size integer bytes that it takes, a multiple of 64
---@field count integer elements, permits or parties; else 1

---@class shm.ArenaStat
---@field size integer bytes in all
---@field used integer bytes of the header and of objects, also of removed ones that somebody has open
---@field largest integer bytes that the largest new object may have
---@field objects integer how many there are
---@field max_objects integer how many there may be: one for each 2 KiB, from 16 to 1,024
---@field handles integer how often the arena is open, in all processes
---@field max_handles integer how often it may be: one for each 2 KiB, from 128 to 512
---@field id? integer System V: the identifier of the segment

---What an arena says of itself to who looks from outside: `segment:inspect`.
---@class shm.Inspection
---@field size integer bytes in all
---@field used integer bytes of the header and of objects
---@field largest integer bytes that the largest new object may have
---@field max_objects integer how many objects there may be
---@field max_handles integer how often it may be open
---@field creator? integer the process that made it; nil where that is not known
---@field creator_lives boolean that process lives
---@field handles integer[] for each time that it is open, the process; of those that live
---@field objects shm.InspectedObject[]

---@class shm.InspectedObject
---@field name string
---@field kind string as in `shm.ArenaEntry`; "unknown" where it is none of them
---@field size integer bytes that it takes
---@field count integer elements, permits or parties; bytes of a ring or a dict; else 1
---@field sound boolean what the directory says of it fits together; else nothing more is known
---@field users integer[] the processes that have it open, each as often as it has
---@field holders shm.Holder[] who holds it, or is at it; 64 at most
---@field more integer how many permits, readers or waiters of others there are
---@field waiting boolean somebody may sleep until they can have it
---@field stat? shm.ChannelStat|shm.TopicStat|shm.DictStat|{value: integer} of a channel, a service (its requests), a
---  topic, a dict; of a semaphore, how many permits can be had

---@class shm.Holder
---@field process integer
---@field part "holds"|"reads"|"writes"|"waits"|"sends"|"receives"|"calls"|"serves" what it does there. Who
---  waits is seen by who may trace them (root, or as ptrace_scope says), but for barriers and calls, which tell all
---@field count integer how many permits; else 1
---@field lives boolean its thread lives

---A mutex. Its owner is a thread; one that dies, or closes its Lua state or arena, leaves it to the next, who is told
---EOWNERDEAD. A stopped owner keeps it.
---@class shm.Mutex
local Mutex = {}

---Many readers or one writer. A writer that waits keeps new readers out. At most 128 read at once; more wait. A thread
---holds it once.
---@class shm.RWLock
local RWLock = {}

---So many permits. What is taken comes back when its taker dies or closes its Lua state, so only what was taken can be
---released. (A signal from one process to another is a condition's.)
---@class shm.Semaphore
local Semaphore = {}

---Waiting for another process to say that something has changed. It may wake for no reason: wait in a loop.
---@class shm.Condition
local Condition = {}

---A place in time where so many processes meet before any goes on.
---@class shm.Barrier
local Barrier = {}

---What a lock is held by: given up by `unlock` or `<close>`, once. One that is lost and collected, or whose Lua state
---is closed, abandons the lock: the next to lock it is told EOWNERDEAD.
---@class shm.Guard
local Guard = {}

---A value that a message carries: a string (any bytes), number, boolean, or table of these, nested up to 128 deep. A
---string travels as its bytes; everything else as MessagePack: integers and floats stay apart; keys 1 to n make an
---array, others a map; metamethods are not called. nil, functions, userdata, threads and tables inside themselves
---raise,
---and the message says where: `value.jobs[3].callback is a function`.
---
---What other programs send arrives by its tag (core/base/tag.h): 0 is a string, 1 MessagePack, 126 an int64_t, 127 a
---double. Unsigned integers of 2^63 and more keep their bits, as in views. Another tag is EPROTO, and so is MessagePack
---that has no Lua value: an extension, nil alone, a map with the key nil or NaN, and tables nested more than 128 deep.
---@alias shm.Value string|number|boolean|table

---Messages between any number of producers and consumers, each to one of them, first in, first out; the order of one
---producer is kept. A message that was sent is received once, whoever is killed meanwhile. Values are copied in
---and out;
---`reserve` and `peek` give views into the ring instead. The ring's size is the next power of two, and a message takes
---8 bytes more than its own, in units of 8.
---@class shm.Channel
local Channel = {}

---@class shm.ChannelStat
---@field capacity integer bytes of the ring
---@field limit integer bytes of a message, at most: something less than half the ring
---@field used integer bytes of the ring that are taken
---@field sent integer messages since the channel was made; who was killed sending may not be counted
---@field received integer messages since the channel was made
---@field receivers_wait boolean somebody sleeps until there is something to receive
---@field senders_wait boolean somebody sleeps until there is room
---@field finished boolean

---Options of a channel.
---@class shm.ChannelOptions
---@field exclusive? "producer"|"consumer"|"both" this end is this thread's alone, until the channel or the arena is
---  closed, or it dies: it takes no turns and is faster. EBUSY where another who lives has it
---@field spin? integer how often to look before sleeping, at most; 0 never. Without it, experience tells

---Messages from publishers to all subscribers. None of them can hold up a publisher: who is slower than the ring
---is long
---loses the oldest, and is told how many.
---@class shm.Topic
local Topic = {}

---@class shm.TopicStat
---@field capacity integer bytes of the ring
---@field limit integer bytes of a message, at most
---@field used integer bytes of the ring that hold messages
---@field published integer messages since the topic was made
---@field finished boolean

---One subscriber. No other process knows of it.
---@class shm.Subscription
local Subscription = {}

---Requests and replies. Several servers may share the requests; each is replied to by the one that took it.
---@class shm.Service
local Service = {}

---What a dict keeps its values under: a string of 1 to 65535 bytes, or an integer; 1 and "1" are two keys, 1.0 is 1.
---Others raise; nil, "" and what is too long are `nil, "nil key"`, `nil, "empty key"` and `nil, "key too long"`.
---@alias shm.Key string|integer

---Keys and values that many processes read and write at once; values may have a time to live, flags of the user's, and
---may be lists. A get takes no lock. Whoever is killed, has done all of a change or nothing of it, and holds up nobody.
---If there is no more room, entries are evicted: those that have expired first, then those that no call has used
---lately. Every method that finds an entry uses it, but for `ttl`, `scan` and its like. A call never evicts the entry
---that it works on: if nothing else may go, it returns "no memory", and the old value stays. A key and its value have a
---quarter of the dict at most.
---
---Names, arguments and returns are those of OpenResty's ngx.shared.DICT, so what a dict refuses is said in its few
---words: `nil, "value is a list"`, and by what stores `false, "exists", forcible`, where `forcible` says whether others
---were evicted that had not expired. What is wrong with the memory is, as everywhere, `nil, message, code`: the code is
---a string ("EIDRM", "EBADMSG", "EPROTO", "EFAULT", "ETIMEDOUT"), which `forcible` never is. All methods may return
---that. Misuse raises, also a value that no message carries.
---
---Time goes on while the machine sleeps. Integers and floats are kept apart, as in Lua.
---@class shm.Dict
local Dict = {}

---@class shm.DictStat
---@field capacity integer bytes in all
---@field limit integer bytes of a key and its value, at most
---@field room integer bytes of it that entries may take: `used + free`
---@field used integer bytes
---@field free integer bytes
---@field payload integer bytes of keys and values
---@field fragmentation number the share of `used` that is neither: heads of entries, and what is left of their 64 bytes
---@field entries integer keys, also of what has expired and is still there
---@field hits integer of gets; up to 1,023 of other handles are not counted yet
---@field misses integer of gets, as hits
---@field evictions integer entries that made room before they had expired
---@field expired integer entries that had expired and made room
---@field shards integer parts with a lock of their own
---@field fullest integer entries of the shard that has most
---@field emptiest integer entries of the shard that has fewest

---@class shm
---@field PRIVATE integer IPC_PRIVATE: as a name for create, a new System V segment without a key
---@field _VERSION string
---@field worker? shm.Worker which worker of `shmlua -j N` this is
local shm = {}

---Creates a segment that does not exist yet, filled with zeroes, and attaches to it. It becomes visible at
---full size. Killed on the way, the process leaves nothing, or (System V has no other way) a whole segment.
---System calls: shmget(2) and shmat(2); open(2) with O_TMPFILE, posix_fallocate(3), mmap(2) and linkat(2);
---memfd_create(2).
---Errors: EEXIST, EACCES, EFBIG, ENOSPC, ENOMEM, EPERM, ENOTSUP, EADDRINUSE, EMFILE, ENFILE; with populate
---EFAULT.
---@param name shm.Name a key, `shm.PRIVATE`, `"/name"` or nil; not an id
---@param size shm.Size accesses are bounded by exactly this, though the kernel gives whole pages
---@param opts? shm.CreateOptions
---@return shm.Segment? segment
---@return string? message
---@return shm.Errno? code
function shm.create(name, size, opts) end

---Attaches to a segment that exists, made by any program.
---System calls: shmget(2) and shmat(2); shm_open(3) and mmap(2).
---Errors: ENOENT, ENOTSUP (there is no /dev/shm), EACCES, EROFS (/dev/shm is mounted read-only), ENODATA, ENODEV,
---ENOMEM, EADDRINUSE, EMFILE, ENFILE; with mlock EPERM; with populate EFAULT.
---@param name shm.Name a key, `{id=n}` or `"/name"`
---@param opts? shm.AttachOptions
---@return shm.Segment? segment
---@return string? message
---@return shm.Errno? code
function shm.attach(name, opts) end

---Attaches to a segment of at least this size, or creates it. Two processes that call it at once get the
---same segment. The options that shape a segment count only where it is created.
---System calls: those of attach, then those of create.
---Errors: those of attach and create; ERANGE where it exists and is smaller.
---@param name shm.Name
---@param size shm.Size
---@param opts? shm.CreateOptions
---@return shm.Segment? segment
---@return string? message
---@return shm.Errno? code
function shm.open(name, size, opts) end

---Removes a name: nobody can attach by it any more. The memory goes with the last detach.
---System calls: shmctl(2) with IPC_RMID, shm_unlink(3).
---Errors: ENOENT, EACCES, EPERM.
---@param name shm.Name|shm.Segment a key, `{id=n}`, `"/name"`, or a segment, as `segment:remove()`
---@return true? removed
---@return string? message
---@return shm.Errno? code
function shm.remove(name) end

---`segment:read(n, offset)` as a function.
---System calls: none; it is a copy of memory.
---Errors: EFAULT.
---@param segment shm.Segment
---@param n? integer
---@param offset? integer
---@return string? data
---@return string? message
---@return shm.Errno? code
function shm.read(segment, n, offset) end

---`segment:write(data, offset)` as a function.
---System calls: none; it is a copy of memory.
---Errors: EFAULT.
---@param segment shm.Segment
---@param data string
---@param offset? integer
---@return shm.Segment? segment
---@return string? message
---@return shm.Errno? code
function shm.write(segment, data, offset) end

---The System V key that C programs get for the same file and project. It is made of the low bits of the
---file's device and inode: a file that is replaced has another key, and two files may collide.
---System calls: ftok(3), which is stat(2).
---Errors: ENOENT, EACCES, as stat(2) has them.
---@param path string an existing file
---@param project integer 1 to 255; C uses the low 8 bits only, so 0x666 is 0x66
---@return integer? key
---@return string? message
---@return shm.Errno? code
function shm.ftok(path, project) end

---All System V segments of this machine, then all POSIX objects by name, then all System V message queues, whose
---`backing` is `"messages"`.
---System calls: shmctl(2) with SHM_STAT_ANY; readdir(3) and stat(2) on /dev/shm; msgctl(2) with MSG_STAT_ANY.
---Errors: EACCES, ENOMEM.
---@return (shm.Stat|shm.MessagesStat)[]? list
---@return string? message
---@return shm.Errno? code
function shm.list() end

---Limits of this machine.
---System calls: sysconf(3), shmctl(2) with IPC_INFO, statvfs(3); /proc/meminfo, cgroups(7).
---Errors: EACCES.
---@return shm.Limits? limits
---@return string? message
---@return shm.Errno? code
function shm.limits() end

---How many processors' work this process can do: as many as it may run on, or fewer if one of its control groups (a
---container) has a quota of processor time. A quota of 1.5 processors counts as 2, for with 1 a part of it would stay
---unused. `shmlua -j auto` starts as many workers.
---System calls: sched_getaffinity(2); cgroups(7): cpu.max, cpu.cfs_quota_us, of all levels.
---Errors: none.
---@return integer count at least 1
function shm.cpus() end

---Copies a string into the segment. The copy is not atomic: who reads at the same time may see a part.
---System calls: none; it is a copy of memory.
---Errors: EFAULT (another process has truncated the memory away; a part may have been written).
---@param data string any bytes
---@param offset? integer default 0
---@return shm.Segment? segment itself, so that writes can be chained
---@return string? message
---@return shm.Errno? code
function Segment:write(data, offset) end

---Copies bytes out of the segment.
---System calls: none; it is a copy of memory.
---Errors: EFAULT.
---@param n? integer bytes; default all to the end
---@param offset? integer default 0
---@return string? data
---@return string? message
---@return shm.Errno? code
function Segment:read(n, offset) end

---Copies a C string out of the segment: up to its NUL, or to the end of the segment where there is none.
---System calls: none; it is a copy of memory.
---Errors: EFAULT.
---@param offset? integer default 0
---@return string? text without the NUL
---@return string? message
---@return shm.Errno? code
function Segment:cstring(offset) end

---Sets bytes to one value.
---System calls: none; it is memset(3).
---Errors: EFAULT.
---@param byte integer 0 to 255
---@param offset? integer default 0
---@param n? integer bytes; default all to the end
---@return shm.Segment? segment itself
---@return string? message
---@return shm.Errno? code
function Segment:fill(byte, offset, n) end

---Status of the segment.
---System calls: shmctl(2) with IPC_STAT; fstat(2).
---Errors: EACCES.
---@return shm.Stat? stat
---@return string? message
---@return shm.Errno? code
function Segment:stat() end

---Looks at the arena in a segment from outside: who has it open, what objects there are, who holds them and how far
---they are. It takes no part: no lock, no place, and nothing is written, so that a readonly segment is enough. What
---is seen may have changed by the time it is here.
---System calls: kill(2) and /proc, to see who lives.
---Errors: EPROTOTYPE (it is no arena), EPROTONOSUPPORT (of another format; a fourth value says of which), EBADMSG (its
---header is damaged), EXDEV (of another PID or time namespace), EFAULT.
---@return shm.Inspection? inspection
---@return string? message
---@return shm.Errno? code
---@return integer? format of the arena's memory: 1 is shm 0.1
function Segment:inspect() end

---Changes mode and owner.
---System calls: shmctl(2) with IPC_SET; fchmod(2) and fchown(2).
---Errors: EPERM.
---@param change shm.Change
---@return true? changed
---@return string? message
---@return shm.Errno? code
function Segment:set(change) end

---Gives a POSIX object another size; what is added is zero (but for what somebody wrote behind its end, in its
---last page). What it grows by is reserved as at creation. It may be mapped elsewhere afterwards. Others
---keep the size they attached with: they attach anew to see more, and get EFAULT where a page is gone.
---System calls: posix_fallocate(3), ftruncate(2), mremap(2).
---Errors: ENOTSUP (System V, anonymous), EFBIG, ENOSPC, ENOMEM, EFAULT.
---@param size shm.Size
---@return true? resized
---@return string? message
---@return shm.Errno? code
function Segment:resize(size) end

---Keeps the segment in memory; it is never swapped.
---System calls: shmctl(2) with SHM_LOCK; mlock(2).
---Errors: EPERM, ENOMEM (RLIMIT_MEMLOCK).
---@return true? locked
---@return string? message
---@return shm.Errno? code
function Segment:mlock() end

---Allows the segment to be swapped again.
---System calls: shmctl(2) with SHM_UNLOCK; munlock(2).
---Errors: EPERM, ENOMEM.
---@return true? unlocked
---@return string? message
---@return shm.Errno? code
function Segment:munlock() end

---Removes the name of this very segment, not that of another that is seen to have its name meanwhile.
---System calls: shmctl(2) with IPC_RMID; shm_unlink(3).
---Errors: ENOENT, EPERM, EACCES, ENOTSUP (anonymous).
---@return true? removed
---@return string? message
---@return shm.Errno? code
function Segment:remove() end

---Detaches. The segment is of no use afterwards; detaching it again is harmless. An owned one loses its name.
---System calls: shmdt(2); munmap(2) and close(2).
---Errors: none.
---@return true detached
function Segment:detach() end

---The same as detach.
---System calls: shmdt(2); munmap(2) and close(2).
---Errors: none.
---@return true detached
function Segment:close() end

---Views bytes of the segment as elements of one type, in this machine's byte order, aligned or not. Views
---share the memory; making one copies nothing.
---System calls: none.
---Errors: none.
---@param type shm.Type
---@param offset? integer bytes; default 0
---@param count? integer elements; default as many as fit
---@return shm.View view
---@overload fun(self: shm.Segment, layout: shm.Layout, offset?: integer, count?: integer): shm.RecordArray
function Segment:view(type, offset, count) end

---Copies elements to Lua. Past the end there is nil, as in table.unpack.
---System calls: none.
---Errors: none.
---@param i integer
---@param j? integer default i
---@return number? ...
function View:get(i, j) end

---Stores values at i, i + 1, ... Either all of them, or, where one does not fit, none.
---System calls: none.
---Errors: none.
---@param i integer
---@param ... number
---@return shm.View self
function View:set(i, ...) end

---Copies elements into a new table.
---System calls: none.
---Errors: none.
---@param i? integer default 1
---@param j? integer default `#v`; `i - 1` for none
---@return number[] elements
function View:totable(i, j) end

---Stores one value into many elements: memset(3) and memcpy(3).
---System calls: none.
---Errors: none.
---@param value number
---@param i? integer default 1
---@param j? integer default `#v`
---@return shm.View self
function View:fill(value, i, j) end

---A view of a part of this one: no copy.
---System calls: none.
---Errors: none.
---@param i integer
---@param j? integer default `#v`
---@return shm.View part
function View:sub(i, j) end

---Copies elements into this view: from a view of any type (converted; the two may overlap), from a table (its
---values 1 to #t, without metamethods), or the raw bytes of a string (as string.pack makes them). Either all of
---them, or, where one does not fit, none.
---System calls: none.
---Errors: none.
---@param from shm.View|number[]|string
---@param at? integer index of the first element that is written; default 1
---@return shm.View self
function View:copy(from, at) end

---The index of the first element that equals a number, as `==` has it; nil where there is none.
---System calls: none.
---Errors: none.
---@param x number
---@return integer? index
function View:find(x) end

---The sum: integers wrap around at 64 bits; floats are added in sixteen lanes, not from left to right.
---System calls: none.
---Errors: none.
---@return number sum
function View:sum() end

---The least element, nil where there is none. A NaN is passed over where there is another.
---System calls: none.
---Errors: none.
---@return number? least
function View:min() end

---The greatest element, as min.
---System calls: none.
---Errors: none.
---@return number? greatest
function View:max() end

---Loads an element, atomically. Atomic operations need integers at an address that is a multiple of their size;
---they are C11's, lock nothing, and are atomic between all processes and threads.
---System calls: none.
---Errors: none.
---@param i integer
---@param order? "relaxed"|"acquire"|"seq_cst" default `"seq_cst"`
---@return integer value
function View:load(i, order) end

---Stores an element, atomically.
---System calls: none.
---Errors: none.
---@param i integer
---@param value integer that fits the type
---@param order? "relaxed"|"release"|"seq_cst" default `"seq_cst"`
---@return shm.View self
function View:store(i, value, order) end

---Stores a value and returns what was there.
---System calls: none.
---Errors: none.
---@param i integer
---@param value integer that fits the type
---@param order? shm.Order default `"seq_cst"`
---@return integer before
function View:exchange(i, value, order) end

---Adds, wrapping around at the width of the element, and returns what was there.
---System calls: none.
---Errors: none.
---@param i integer
---@param value integer that fits the type
---@param order? shm.Order default `"seq_cst"`
---@return integer before
function View:fetch_add(i, value, order) end

---Subtracts, wrapping around at the width of the element, and returns what was there.
---System calls: none.
---Errors: none.
---@param i integer
---@param value integer that fits the type
---@param order? shm.Order default `"seq_cst"`
---@return integer before
function View:fetch_sub(i, value, order) end

---Keeps the bits that are set in both, and returns what was there.
---System calls: none.
---Errors: none.
---@param i integer
---@param value integer that fits the type
---@param order? shm.Order default `"seq_cst"`
---@return integer before
function View:fetch_and(i, value, order) end

---Sets bits, and returns what was there.
---System calls: none.
---Errors: none.
---@param i integer
---@param value integer that fits the type
---@param order? shm.Order default `"seq_cst"`
---@return integer before
function View:fetch_or(i, value, order) end

---Flips bits, and returns what was there.
---System calls: none.
---Errors: none.
---@param i integer
---@param value integer that fits the type
---@param order? shm.Order default `"seq_cst"`
---@return integer before
function View:fetch_xor(i, value, order) end

---Stores `new` where the element is `old`: true. Else nothing: false, and the value found.
---System calls: none.
---Errors: none.
---@param i integer
---@param old integer that fits the type
---@param new integer that fits the type
---@param order? shm.Order default `"seq_cst"`
---@return boolean exchanged
---@return integer? found
function View:compare_exchange(i, old, new, order) end

---Sleeps while an i32 or u32 element has a value, until somebody notifies: JavaScript's Atomics.wait. "ok" says
---that it was woken, perhaps for no reason: look at the element, and wait again. Signals are served meanwhile:
---Ctrl-C raises "interrupted!". Works on readonly mappings too.
---System calls: futex(2), FUTEX_WAIT_BITSET, shared between processes.
---Errors: none.
---@param i integer
---@param expected integer
---@param timeout? number seconds; nil waits for ever, 0 not at all
---@return "ok"|"not-equal"|"timed-out" outcome
function View:wait(i, expected, timeout) end

---Wakes those who wait for an element; does not block.
---System calls: futex(2), FUTEX_WAKE.
---Errors: none.
---@param i integer
---@param count? integer at most so many; default all
---@return integer woken
function View:notify(i, count) end

---Defines the layout of a C struct. Fields are `"type name"` or `"type name[count]"`; types are i8 u8 i16 u16 i32 u32
---i64 u64 f32 f64, char, and layouts defined before, by name. Defining a name anew replaces it for layouts to come;
---what was made of the old one goes on. At most 255 fields, names of 63 bytes, 16 levels, 2^60 bytes.
---System calls: none.
---Errors: none; a definition that C would not take raises, and the message names the field.
---@param name string an identifier of C
---@param fields string[] in their order: `{"u32 id", "f64 price[8]", "char name[16]", "Other inner[4]"}`
---@return shm.Layout layout
function shm.record(name, fields) end

---A record of this layout in the segment.
---System calls: none.
---Errors: none; one that leaves the segment raises.
---@param layout shm.Layout
---@param offset? integer bytes; default 0
---@return shm.Record record
function Segment:record(layout, offset) end

---The layout as C: declarations that compile behind `#include <stdint.h>`, those of layouts inside first.
---System calls: none.
---Errors: none.
---@return string text
function Layout:cdef() end

---`record:set(fields)` as a function, for records that have a field of this name. Works on any layout's record.
---System calls: none; it is a copy of memory.
---Errors: none; it raises as `record:set` does.
---@param record shm.Record
---@param fields table
---@return shm.Record record
function Layout.set(record, fields) end

---`record:totable()` as a function, for records that have a field of this name. Works on any layout's record.
---System calls: none; it is a copy of memory.
---Errors: none; it raises as `record:totable` does.
---@param record shm.Record
---@return table fields
function Layout.totable(record) end

---Stores fields from a table, nested ones from nested tables. Every value is checked before the first is stored;
---what the table leaves out stays. The stores together are not atomic. Metamethods of the table are not called.
---System calls: none; it is a copy of memory.
---Errors: none; a value that does not fit and an unknown field raise, and nothing is written.
---@param fields table `{id = 7, price = {1, 2}, inner = {id = 3}}`; arrays may be shorter, or have holes
---@return shm.Record record itself
function Record:set(fields) end

---Copies the record into plain tables: arrays are sequences, char arrays strings, records inside tables.
---System calls: none; it is a copy of memory.
---Errors: none.
---@return table fields
function Record:totable() end

---Copies all records into a sequence of tables, each as `record:totable` makes it.
---System calls: none; it is a copy of memory.
---Errors: none.
---@return table[] records
function RecordArray:totable() end

---Opens an arena, or creates it; two processes that do so at once get the same. One whose creator was killed on the
---way is completed. Without a size it must exist.
---System calls: those of `shm.open`; stat(2) on /proc/self/ns.
---Errors: those of `shm.open`; ERANGE (it has another size), EPROTOTYPE (the segment is no arena), EPROTONOSUPPORT
---(it has another format), EXDEV (of another PID or time namespace), EUSERS, EBADMSG, ETIMEDOUT.
---@param name shm.Name nil is anonymous: a forked child inherits it
---@param size? shm.Size at least 8192 bytes
---@param opts? shm.CreateOptions not readonly
---@return shm.Arena? arena
---@return string? message
---@return shm.Errno? code
function shm.arena(name, size, opts) end

---Finds or makes a mutex.
---System calls: futex(2), if another changes the directory at the moment.
---Errors: ENOSPC (with the largest free extent in the message), EPROTOTYPE (the name is another kind's), EBADMSG,
---EFAULT,
---ETIMEDOUT.
---@param name string 1 to 63 bytes
---@return shm.Mutex? mutex
---@return string? message
---@return shm.Errno? code
function Arena:mutex(name) end

---Finds or makes a lock of many readers or one writer.
---System calls: futex(2), if another changes the directory at the moment.
---Errors: ENOSPC (with the largest free extent in the message), EPROTOTYPE (the name is another kind's), EBADMSG,
---EFAULT,
---ETIMEDOUT.
---@param name string 1 to 63 bytes
---@return shm.RWLock? rwlock
---@return string? message
---@return shm.Errno? code
function Arena:rwlock(name) end

---Finds or makes a semaphore.
---System calls: futex(2), if another changes the directory at the moment.
---Errors: ENOSPC (with the largest free extent in the message), EPROTOTYPE (another kind, or another number of
---permits), EBADMSG, EFAULT,
---ETIMEDOUT.
---@param name string 1 to 63 bytes
---@param n integer permits, 1 to 32767; the same for all who open it
---@return shm.Semaphore? semaphore
---@return string? message
---@return shm.Errno? code
function Arena:semaphore(name, n) end

---Finds or makes a condition.
---System calls: futex(2), if another changes the directory at the moment.
---Errors: ENOSPC (with the largest free extent in the message), EPROTOTYPE (the name is another kind's), EBADMSG,
---EFAULT,
---ETIMEDOUT.
---@param name string 1 to 63 bytes
---@return shm.Condition? condition
---@return string? message
---@return shm.Errno? code
function Arena:condition(name) end

---Finds or makes a barrier.
---System calls: futex(2), if another changes the directory at the moment.
---Errors: ENOSPC (with the largest free extent in the message), EPROTOTYPE (another kind, or another number of
---parties), EBADMSG, EFAULT,
---ETIMEDOUT.
---@param name string 1 to 63 bytes
---@param n integer parties, 1 to 32767; the same for all who open it
---@return shm.Barrier? barrier
---@return string? message
---@return shm.Errno? code
function Arena:barrier(name, n) end

---Finds or makes an array, and views it: a view of elements, or, for a layout, an array of records.
---System calls: futex(2), if another changes the directory at the moment.
---Errors: ENOSPC (with the largest free extent in the message), EPROTOTYPE (another kind, type, layout or count),
---EBADMSG, EFAULT,
---ETIMEDOUT.
---@param name string 1 to 63 bytes
---@param type shm.Type
---@param n integer elements, at least 1
---@return shm.View? view
---@return string? message
---@return shm.Errno? code
---@overload fun(self: shm.Arena, name: string, layout: shm.Layout, n: integer): shm.RecordArray?
function Arena:array(name, type, n) end

---Finds or makes a record.
---System calls: futex(2), if another changes the directory at the moment.
---Errors: ENOSPC (with the largest free extent in the message), EPROTOTYPE (another kind, or another layout),
---EBADMSG, EFAULT,
---ETIMEDOUT.
---@param name string 1 to 63 bytes
---@param layout shm.Layout all its fields, their names and offsets must be the same for all who open it
---@return shm.Record? record
---@return string? message
---@return shm.Errno? code
function Arena:record(name, layout) end

---All objects, in the order of their places in the directory.
---System calls: futex(2), if another changes the directory at the moment.
---Errors: EFAULT, ETIMEDOUT.
---@return shm.ArenaEntry[]? objects
---@return string? message
---@return shm.Errno? code
function Arena:objects() end

---Removes an object. Its name may be used anew at once. Those who have it open get EIDRM from then on (views raise it,
---waits end with it), and its memory is used again when all of them have closed it or died.
---System calls: futex(2), if another changes the directory at the moment; kill(2) and /proc, to see who lives.
---Errors: ENOENT, EFAULT, ETIMEDOUT.
---@param name string
---@return true? removed
---@return string? message
---@return shm.Errno? code
function Arena:remove(name) end

---Size, use and limits.
---System calls: as `remove`.
---Errors: EFAULT, ETIMEDOUT.
---@return shm.ArenaStat? stat
---@return string? message
---@return shm.Errno? code
function Arena:stat() end

---Closes the arena and all that was opened through it. The segment stays, with its name, unless it is owned. Closing
---it again is harmless.
---System calls: those of `segment:detach`.
---Errors: none.
---@return true closed
function Arena:close() end

---Locks, after a wait if need be. `true, "EOWNERDEAD"`: locked, but the owner before died with it: repair what it
---guards. Locking twice raises.
---System calls: futex(2), after a spin of some microseconds; kill(2) and /proc, to see whether the owner lives.
---Errors: ETIMEDOUT (the message says who has it), EIDRM.
---@param timeout? number seconds; nil waits for ever, 0 only tries
---@return true? locked
---@return string? message or "EOWNERDEAD"
---@return shm.Errno? code
function Mutex:lock(timeout) end

---Locks if nobody has it; as `lock(0)`, with another code.
---System calls: as `lock`, without waiting.
---Errors: EBUSY (the message says who has it), EIDRM.
---@return true? locked
---@return string? message or "EOWNERDEAD"
---@return shm.Errno? code
function Mutex:trylock() end

---Unlocks. Raises where this thread has not locked it; the message says who has.
---System calls: futex(2), if somebody waits.
---Errors: EIDRM.
---@return true? unlocked
---@return string? message
---@return shm.Errno? code
function Mutex:unlock() end

---Locks, and returns a guard that unlocks: `local g <close> = assert(m:guard())`; behind it "EOWNERDEAD", as for
---`lock`.
---System calls: as `lock`.
---Errors: as `lock`.
---@param timeout? number seconds; nil waits for ever
---@return shm.Guard? guard
---@return string? message or "EOWNERDEAD"
---@return shm.Errno? code
function Mutex:guard(timeout) end

---Locks, calls the function, and unlocks whatever it does: return, raise, or yield and be resumed. Returns what it
---returns. Whether the owner before died, `ownerdead` says. If the function yields and its coroutine is closed, the
---mutex is unlocked; if the coroutine is collected, the next owner is told EOWNERDEAD. A timeout in seconds may stand
---before the function.
---System calls: as `lock`.
---Errors: EIDRM; ETIMEDOUT with a timeout; what the function raises.
---@overload fun(self: shm.Mutex, timeout: number?, fn: function, ...: any): any ...
---@param fn function
---@param ... any arguments of the function
---@return any ...
function Mutex:with(fn, ...) end

---Has this thread locked the mutex, and did its owner before die with it?
---System calls: none.
---Errors: none.
---@return boolean died
function Mutex:ownerdead() end

---Holds the lock together with other readers: `local g <close> = assert(rw:read())`. `guard, "EOWNERDEAD"`: held, but
---a writer died and none has written since. Holding it twice raises.
---System calls: as `Mutex:lock`.
---Errors: ETIMEDOUT (the message says who has it), EIDRM.
---@param timeout? number seconds; nil waits for ever
---@return shm.Guard? guard
---@return string? message or "EOWNERDEAD"
---@return shm.Errno? code
function RWLock:read(timeout) end

---Holds the lock alone. `guard, "EOWNERDEAD"`: held, but a writer died, and what it wrote may be half done; or a
---reader did. Unlocking it says that all is well again. Holding it twice raises.
---System calls: as `Mutex:lock`.
---Errors: ETIMEDOUT (the message says who has it), EIDRM.
---@param timeout? number seconds; nil waits for ever
---@return shm.Guard? guard
---@return string? message or "EOWNERDEAD"
---@return shm.Errno? code
function RWLock:write(timeout) end

---Takes permits, all at once or none. A lone number is how many: `acquire(1, 0.5)` waits for half a second.
---`true, "EOWNERDEAD"`: taken, and some came back from one who died with them. More than there are, with those this
---thread has, raises.
---System calls: as `Mutex:lock`.
---Errors: ETIMEDOUT, EIDRM.
---@param n? integer default 1
---@param timeout? number seconds; nil waits for ever, 0 only tries
---@return true? acquired
---@return string? message or "EOWNERDEAD"
---@return shm.Errno? code
function Semaphore:acquire(n, timeout) end

---Gives permits back. Raises where this thread has not taken so many through this arena.
---System calls: futex(2), if somebody waits.
---Errors: EIDRM.
---@param n? integer default 1
---@return true? released
---@return string? message
---@return shm.Errno? code
function Semaphore:release(n) end

---How many can be had now, those of the dead included.
---System calls: kill(2) and /proc, to see who lives.
---Errors: EIDRM.
---@return integer? value
---@return string? message
---@return shm.Errno? code
function Semaphore:value() end

---Unlocks the mutex, sleeps until it is notified, and locks the mutex again, however long that takes. Raises where this
---thread has not locked the mutex; the message says who has. Wakes for signals, and sometimes for nothing.
---`true, "EOWNERDEAD"`: the mutex came from one who died. After ETIMEDOUT the mutex is locked, too.
---System calls: futex(2).
---Errors: ETIMEDOUT, EIDRM.
---@param mutex shm.Mutex
---@param timeout? number seconds; nil waits for ever
---@return true? notified
---@return string? message or "EOWNERDEAD"
---@return shm.Errno? code
function Condition:wait(mutex, timeout) end

---Wakes one who waits. Should that one be killed before it can act, the others wake within a tenth of a second.
---System calls: futex(2), if somebody waits.
---Errors: EIDRM.
---@return true? notified
---@return string? message
---@return shm.Errno? code
function Condition:notify() end

---Wakes all who wait.
---System calls: futex(2), if somebody waits.
---Errors: EIDRM.
---@return true? notified
---@return string? message
---@return shm.Errno? code
function Condition:notify_all() end

---Waits until all have come. One of them, the last, is told `true, true`, the others `true, false`. If one of those who
---wait dies, all others are told EOWNERDEAD, and the barrier is as new. Who times out does not wait any more.
---System calls: futex(2); kill(2) and /proc, to see who lives.
---Errors: EOWNERDEAD, ETIMEDOUT, EIDRM.
---@param timeout? number seconds; nil waits for ever
---@return true? met
---@return boolean|string? last or message
---@return shm.Errno? code
function Barrier:wait(timeout) end

---How many wait now.
---System calls: none.
---Errors: EIDRM.
---@return integer? waiting
---@return string? message
---@return shm.Errno? code
function Barrier:waiting() end

---Finds or makes a channel.
---System calls: futex(2), if another changes the directory at the moment.
---Errors: ENOSPC (with the largest free extent in the message), EPROTOTYPE (another kind, or another size), EBADMSG,
---EFAULT, ETIMEDOUT; EBUSY (an exclusive end is another's, who lives and has claimed it, or has reserved or peeked
---there; the message says whose. Who is there for a moment is waited for).
---@param name string 1 to 63 bytes
---@param size shm.Size of the ring, from 256 bytes to 2G; the same for all who open it
---@param opts? shm.ChannelOptions
---@return shm.Channel? channel
---@return string? message
---@return shm.Errno? code
function Arena:channel(name, size, opts) end

---Finds or makes a topic.
---System calls: futex(2), if another changes the directory at the moment.
---Errors: ENOSPC (with the largest free extent in the message), EPROTOTYPE (another kind, or another size), EBADMSG,
---EFAULT, ETIMEDOUT.
---@param name string 1 to 63 bytes
---@param size shm.Size of the ring, from 256 bytes to 2G; the same for all who open it
---@return shm.Topic? topic
---@return string? message
---@return shm.Errno? code
function Arena:topic(name, size) end

---Finds or makes a service. With `{ retry = true }` a call whose server has died is made again, and so may be served
---twice.
---System calls: futex(2), if another changes the directory at the moment.
---Errors: ENOSPC (with the largest free extent in the message), EPROTOTYPE (another kind, or another size), EBADMSG,
---EFAULT, ETIMEDOUT.
---@param name string 1 to 63 bytes
---@param size? shm.Size of the largest request and reply; default 4096, at most 16M; the same for all who open it
---@param opts? { retry?: boolean, spin?: integer } spin: as of a channel, for calls and for servers
---@return shm.Service? service
---@return string? message
---@return shm.Errno? code
function Arena:service(name, size, opts) end

---Finds or makes a dict. What sizes are out of bounds become the nearest that is not.
---System calls: futex(2), if another changes the directory at the moment.
---Errors: ENOSPC (with the largest free extent in the message), EPROTOTYPE (another kind, or another size), EBADMSG,
---EFAULT, ETIMEDOUT.
---@param name string 1 to 63 bytes
---@param size shm.Size in all, from 16K to 16G; the same for all who open it
---@return shm.Dict? dict
---@return string? message
---@return shm.Errno? code
function Arena:dict(name, size) end

---The value under a key, or one nil where there is none or it has expired. Then its flags, unless they are 0.
---System calls: none; futex(2), if somebody writes there all the time.
---Errors: "value is a list".
---@param key shm.Key
---@return shm.Value? value
---@return integer|string|nil flags or err, or message
---@return shm.Errno? code
function Dict:get(key) end

---The value under a key, also one that has expired and is still there; its flags, or nil for 0; whether it has expired.
---System calls: none; futex(2), if somebody writes there all the time.
---Errors: "value is a list".
---@param key shm.Key
---@return shm.Value? value
---@return integer|string|nil flags or err, or message
---@return boolean|shm.Errno|nil stale or code
function Dict:get_stale(key) end

---Stores a value, whatever is there; evicts others where there is no room.
---System calls: futex(2), if another changes the same part of the dict at the moment.
---Errors: "no memory" (it is over a quarter of the dict, or nothing may be evicted for it).
---@param key shm.Key
---@param value shm.Value|nil nil deletes
---@param exptime? number seconds, with fractions; 0 or nothing is for ever
---@param flags? integer 0 to 4294967295
---@return boolean? stored
---@return string? err or message
---@return boolean|shm.Errno|nil forcible or code
function Dict:set(key, value, exptime, flags) end

---Stores a value, as `set`, but evicts nothing that has not expired.
---System calls: futex(2), if another changes the same part of the dict at the moment.
---Errors: "no memory".
---@param key shm.Key
---@param value shm.Value|nil nil deletes
---@param exptime? number seconds, with fractions; 0 or nothing is for ever
---@param flags? integer 0 to 4294967295
---@return boolean? stored
---@return string? err or message
---@return boolean|shm.Errno|nil forcible or code
function Dict:safe_set(key, value, exptime, flags) end

---Stores a value where there is none.
---System calls: futex(2), if another changes the same part of the dict at the moment.
---Errors: "exists", "no memory".
---@param key shm.Key
---@param value shm.Value
---@param exptime? number seconds, with fractions; 0 or nothing is for ever
---@param flags? integer 0 to 4294967295
---@return boolean? stored
---@return string? err or message
---@return boolean|shm.Errno|nil forcible or code
function Dict:add(key, value, exptime, flags) end

---Stores a value where there is none, as `add`, but evicts nothing that has not expired.
---System calls: futex(2), if another changes the same part of the dict at the moment.
---Errors: "exists", "no memory".
---@param key shm.Key
---@param value shm.Value
---@param exptime? number seconds, with fractions; 0 or nothing is for ever
---@param flags? integer 0 to 4294967295
---@return boolean? stored
---@return string? err or message
---@return boolean|shm.Errno|nil forcible or code
function Dict:safe_add(key, value, exptime, flags) end

---Stores a value where there is one, or a list.
---System calls: futex(2), if another changes the same part of the dict at the moment.
---Errors: "not found", "no memory".
---@param key shm.Key
---@param value shm.Value
---@param exptime? number seconds, with fractions; 0 or nothing is for ever
---@param flags? integer 0 to 4294967295
---@return boolean? stored
---@return string? err or message
---@return boolean|shm.Errno|nil forcible or code
function Dict:replace(key, value, exptime, flags) end

---Deletes a value or a list. Where there is none, that is no error.
---System calls: futex(2), if another changes the same part of the dict at the moment.
---Errors: none of its own.
---@param key shm.Key
---@return boolean? deleted
---@return string? err or message
---@return boolean|shm.Errno|nil forcible or code
function Dict:delete(key) end

---The seconds that a value or a list has to live; 0 where it has no end.
---System calls: futex(2), if another changes the same part of the dict at the moment.
---Errors: "not found".
---@param key shm.Key
---@return number? seconds
---@return string? err or message
---@return shm.Errno? code
function Dict:ttl(key) end

---Gives a value or a list another time to live.
---System calls: futex(2), if another changes the same part of the dict at the moment.
---Errors: "not found".
---@param key shm.Key
---@param exptime number seconds; 0 is for ever
---@return true? given
---@return string? err or message
---@return shm.Errno? code
function Dict:expire(key, exptime) end

---Adds to a number: at once, whoever else does. Integers wrap around; with a float the sum is one. Where there is no
---value, and `init`, the sum is `init + value`. `forcible` is only told with `init`.
---System calls: futex(2), if another changes the same part of the dict at the moment.
---Errors: "not found", "not a number" (also for a list), "no memory".
---@param key shm.Key
---@param value number may be negative
---@param init? number
---@param init_ttl? number seconds to live of a value that is new; only with `init`
---@return number? sum
---@return string? err or message
---@return boolean|shm.Errno|nil forcible or code
function Dict:incr(key, value, init, init_ttl) end

---Pushes a value to the left end of a list, which is made if there is none. Evicts others, and never the list itself,
---if there is no room.
---System calls: futex(2), if another changes the same part of the dict at the moment.
---Errors: "value not a list", "no memory".
---@param key shm.Key
---@param value shm.Value
---@return integer? length
---@return string? err or message
---@return boolean|shm.Errno|nil forcible or code
function Dict:lpush(key, value) end

---Pushes a value to the right end of a list, which is made if there is none. Evicts others, and never the list itself,
---if there is no room.
---System calls: futex(2), if another changes the same part of the dict at the moment.
---Errors: "value not a list", "no memory".
---@param key shm.Key
---@param value shm.Value
---@return integer? length
---@return string? err or message
---@return boolean|shm.Errno|nil forcible or code
function Dict:rpush(key, value) end

---Takes the value at the left end of a list, or nil where there is none. The list goes with its last. If the call
---raises, as where memory is short, the value is still there.
---System calls: futex(2), if another changes the same part of the dict at the moment.
---Errors: "value not a list"; EPROTO (the value is not Lua's; it is taken).
---@param key shm.Key
---@return shm.Value? value
---@return string? err or message
---@return shm.Errno? code
function Dict:lpop(key) end

---Takes the value at the right end of a list, or nil where there is none. The list goes with its last. If the call
---raises, as where memory is short, the value is still there.
---System calls: futex(2), if another changes the same part of the dict at the moment.
---Errors: "value not a list"; EPROTO (the value is not Lua's; it is taken).
---@param key shm.Key
---@return shm.Value? value
---@return string? err or message
---@return shm.Errno? code
function Dict:rpop(key) end

---How many values a list has; 0 where there is none.
---System calls: futex(2), if another changes the same part of the dict at the moment.
---Errors: "value not a list".
---@param key shm.Key
---@return integer? length
---@return string? err or message
---@return shm.Errno? code
function Dict:llen(key) end

---The values i to j of a list, as they are at one time; they stay in it. Values count from 1 at the left end, and from
----1 at the right end. What is out of range is left out, so `d:lrange(key, 1, -1)` is the whole list. As with Redis's
---LRANGE, the range is empty if there is no list, but Redis counts from 0.
---System calls: futex(2), if another changes the same part of the dict at the moment.
---Errors: "value not a list"; ETIMEDOUT (the list is so long that ten seconds do not suffice).
---@param key shm.Key
---@param i integer
---@param j integer
---@return shm.Value[]? values
---@return string? err or message
---@return shm.Errno? code
function Dict:lrange(key, i, j) end

---Stores a value if what is there is what was expected: the same string, boolean or number (1 is not 1.0), or a table
---with the same in it. NaN equals NaN, so a table that was just read is always what is there. nil stands for no value,
---on both sides.
---System calls: futex(2), if another changes the same part of the dict at the moment.
---Errors: "changed" (something else is there), "value is a list", "no memory".
---@param key shm.Key
---@param old shm.Value|nil
---@param new shm.Value|nil
---@param exptime? number seconds; 0 is for ever; nothing leaves the time that it has
---@param flags? integer 0 to 4294967295
---@return boolean? stored
---@return string? err or message
---@return boolean|shm.Errno|nil forcible or code
function Dict:cas(key, old, new, exptime, flags) end

---Stores what a function makes of a value (or nil where there is none); nil deletes it. The function runs under no
---lock, and again if another was first. Flags stay.
---System calls: futex(2), if another changes the same part of the dict at the moment.
---Errors: "value is a list", "no memory".
---@param key shm.Key
---@param fn fun(value: shm.Value?): shm.Value?
---@param exptime? number seconds; 0 is for ever; nothing leaves the time that it has
---@return shm.Value? value that was stored
---@return string? err or message
---@return boolean|shm.Errno|nil forcible or code
function Dict:update(key, fn, exptime) end

---The value under a key. If there is none, or it has expired, fetch calls the generator with the key, and stores and
---returns the generator's value. One thread of all processes calls its generator, while the others wait for the value.
---If that thread dies, or its generator raises or returns nil, the next of them calls its own; fetch raises what the
---generator has raised, and returns what it has returned after nil. The generator's third value is the time to live of
---this value, instead of `exptime`; the second is ignored. The generator must not yield. Signals are served while
---waiting.
---
---The old value, if there is one, stays until the new one is stored, and if none is: `get_stale` returns it, and it is
---not evicted while a thread makes the new one. With the option `stale`, fetch returns the old value instead of
---waiting, if it expired no longer than so many seconds ago, as HTTP's stale-while-revalidate does. The thread that
---makes the new value always returns the new one.
---
---If another stores a value meanwhile (set, add, incr ...), all fetches return that value, and it stays. `delete` and
---`flush_all` end the old value, also for `stale`; the new one is stored nevertheless. `expire` and `replace` find
---nothing.
---
---Two or more threads that make values and wait for each other's would wait for ever: one of them gets EDEADLK. A
---generator that fetches the value that it is to make raises.
---System calls: futex(2), while another makes the value; kill(2) and /proc, to see whether it lives.
---Errors: "value is a list"; ETIMEDOUT, with the process that makes the value; EDEADLK; "no memory", if there is no
---room even for the task, and after a value that could not be stored.
---@param key shm.Key
---@param exptime? number seconds to live; 0 or nothing is for ever
---@param generator fun(key: shm.Key): (value: shm.Value?, unused: any, exptime: number?)
---@param timeout? number|{ timeout?: number, stale?: number } seconds to wait for another's value; nil waits for ever
---@return shm.Value? value
---@return string? err or message
---@return shm.Errno? code
function Dict:fetch(key, exptime, generator, timeout) end

---The values under some keys; what is not there is not in the table. Each is got on its own.
---System calls: futex(2), if another changes the same part of the dict at the moment.
---Errors: "value is a list".
---@param keys shm.Key[]
---@return table<shm.Key, shm.Value>? values
---@return string? err or message
---@return shm.Errno? code
function Dict:get_all(keys) end

---Stores all that is in a table, each on its own; stops where one is refused.
---System calls: futex(2), if another changes the same part of the dict at the moment.
---Errors: "no memory".
---@param values table<shm.Key, shm.Value>
---@param exptime? number seconds; 0 or nothing is for ever
---@param flags? integer 0 to 4294967295
---@return boolean? stored
---@return string? err or message
---@return boolean|shm.Errno|nil forcible or code
function Dict:set_all(values, exptime, flags) end

---Some keys, or all. `pairs(d)` walks through keys and values, without a table of all of them.
---System calls: futex(2), if another changes the same part of the dict at the moment.
---Errors: EBADMSG (corrupt memory: the walk has met four times as much as the dict can have).
---@param max? integer default 1024; 0 is all
---@return shm.Key[]? keys
---@return string? err or message
---@return shm.Errno? code
function Dict:get_keys(max) end

---Some entries from a cursor on, and the next cursor: 0 at the beginning, and again when all were seen. What is there
---throughout is seen exactly once, what comes or goes meanwhile once or not, in no order. Lists are tables of their
---values. Nobody is held up. `for key, value in pairs(d)` does the same; what goes wrong raises there.
---System calls: futex(2), if another changes the same part of the dict at the moment.
---Errors: a cursor that no scan has said raises.
---@param cursor? integer default 0
---@param n? integer about how many; default 1000
---@return integer? cursor
---@return table<shm.Key, shm.Value>|string entries or message
---@return shm.Errno? code
function Dict:scan(cursor, n) end

---All that is there has expired. The memory comes back as it is needed, or by `flush_expired`.
---System calls: futex(2), if another changes the same part of the dict at the moment.
---Errors: none of its own.
---@return true? flushed
---@return string? err or message
---@return shm.Errno? code
function Dict:flush_all() end

---Frees what has expired; how many it was.
---System calls: futex(2), if another changes the same part of the dict at the moment.
---Errors: none of its own.
---@param max? integer 0 or nothing is all
---@return integer? count
---@return string? err or message
---@return shm.Errno? code
function Dict:flush_expired(max) end

---Bytes in all.
---System calls: none.
---Errors: none of its own.
---@return integer? bytes
---@return string? err or message
---@return shm.Errno? code
function Dict:capacity() end

---Bytes that are free.
---System calls: none.
---Errors: none of its own.
---@return integer? bytes
---@return string? err or message
---@return shm.Errno? code
function Dict:free_space() end

---Size, use and counts.
---System calls: none.
---Errors: none of its own.
---@return shm.DictStat? stat
---@return string? err or message
---@return shm.Errno? code
function Dict:stat() end

---Writes all entries into a file, with flags and the times that they have to live; how many they were. Entries that
---change meanwhile are in it as they were at some time. The file is MessagePack: bindings/lua/ldict_file.h.
---
---The file is `path .. ".tmp"` until it is whole, and then takes the place of the old one, so that the path always
---names a whole snapshot. A process that is killed leaves the temporary file, which the next snapshot removes. A new
---file is for this user only; one that is replaced leaves its mode, and its owner if this user may give files away. If
---the path is a symbolic link, the link stays, and the file that it names is replaced.
---System calls: stat(2), readlink(2), open(2), flock(2), write(2), fsync(2), rename(2).
---Errors: ENODEV, EISDIR (a device, a FIFO or a directory has the path), EBUSY (another process writes a snapshot to
---the path), EFBIG (ulimit -f); those of the file: EACCES, ENOENT, ENOSPC, EROFS ... The old file stays.
---@param path string
---@return integer? count
---@return string? err or message
---@return shm.Errno? code
function Dict:snapshot(path) end

---Stores what is in a snapshot, over what is there under the same keys; how many entries it was. Before it stores the
---first, it has checked all of the file. Times to live go on from where they were. A list is made anew, value by value.
---System calls: open(2), read(2).
---Errors: those of the file; ENODEV, EISDIR (no regular file); EBADMSG (it is damaged, or no snapshot: the message says
---where), EMSGSIZE (an entry is too large for this dict), EPROTONOSUPPORT; "no memory".
---@param path string
---@return integer? count
---@return string? err or message
---@return boolean|shm.Errno|nil forcible or code
function Dict:restore(path) end

---Sends a value, when there is room. One that is larger than `stat().limit` raises.
---System calls: futex(2), if somebody sleeps or there is no room; kill(2) and /proc, to see who lives.
---Errors: EAGAIN (timeout 0, and no room), ETIMEDOUT (no room in time), EPIPE (finished), EBUSY (another has this end
---for itself; the message says who), EIDRM, EFAULT, EBADMSG. With EAGAIN and ETIMEDOUT the message says what was in the
---way: a full ring, or a process that has reserved, or is stopped while it sends.
---@param value shm.Value
---@param timeout? number seconds; nil waits for ever, 0 only tries; another's turn is waited for a tenth of a second
---@return true? sent
---@return string? message
---@return shm.Errno? code
function Channel:send(value, timeout) end

---Sends a list of values in their order, as many at once as there is room for, with one turn and one wake.
---System calls: as `send`.
---Errors: as `send`; then a fourth value says how many were sent.
---@param values shm.Value[] without holes
---@param timeout? number seconds
---@return integer? sent
---@return string? message
---@return shm.Errno? code
---@return integer? sent_before
function Channel:send_all(values, timeout) end

---Receives a value, when there is one.
---System calls: as `send`.
---Errors: EAGAIN (timeout 0, and nothing there), ETIMEDOUT (nothing in time), EPIPE (finished, and all is received),
---EBUSY (another has this end for itself), EIDRM, EFAULT, EBADMSG (the message is damaged), EPROTO (the message has no
---Lua value, such as a MessagePack extension or another program's tag; the error says what it holds). A message that is
---EBADMSG or EPROTO is out of the ring. If the call raises, as where memory is short, no message is.
---@param timeout? number seconds; nil waits for ever, 0 only tries
---@return shm.Value? value
---@return string? message
---@return shm.Errno? code
function Channel:receive(timeout) end

---Receives what is there: at least one value, with one turn and one wake. A message that is damaged or has no Lua
---value costs none of the others: it is left out, and a second result says how many were. Where others receive at the
---same time, a list may have fewer values than there are.
---System calls: as `send`.
---Errors: as `receive`; EBADMSG or EPROTO if all messages are such.
---@param most? integer messages, at most
---@param timeout? number seconds
---@return shm.Value[]? values
---@return integer|string|nil left_out (nil: none) or message
---@return shm.Errno? code
function Channel:receive_all(most, timeout) end

---`for value in ch:messages() do`: receives until the channel is finished; other errors raise. A message that is
---EBADMSG or EPROTO is out of the ring when its error is raised, so another loop goes on behind it.
---System calls: as `receive`.
---Errors: none.
---@return fun(): shm.Value? next
function Channel:messages() end

---No more values are sent, by anybody. What is in the ring is received, then `receive` says EPIPE. A reservation of
---another is waited for, for at most ten seconds.
---System calls: futex(2), if somebody sleeps.
---Errors: EBUSY, ETIMEDOUT, EIDRM, EFAULT.
---@return true? finished
---@return string? message
---@return shm.Errno? code
function Channel:finish() end

---Room in the ring for a message, as a view to fill in. Others who send wait until `commit`. To die before it sends
---nothing. The view is of no use afterwards, nor in a forked child.
---System calls: as `send`.
---Errors: as `send`. More than fits raises.
---@param n integer elements
---@param type? shm.Type default "u8"
---@param timeout? number seconds
---@return shm.View? view
---@return string? message
---@return shm.Errno? code
function Channel:reserve(n, type, timeout) end

---Sends what was reserved; its receiver gets a string, or peeks at it. Views of it raise from then on.
---System calls: futex(2), if somebody sleeps.
---Errors: EIDRM. Raises where nothing is reserved.
---@param n? integer elements from the first; default all
---@return true? sent
---@return string? message
---@return shm.Errno? code
function Channel:commit(n) end

---The next message where it lies, as a view. Others who receive wait until `release`. To die before it leaves the
---message to another. The view is of no use afterwards, nor in a forked child. The second result is "string", or
---"msgpack" for what was no string, or the tag of another program.
---System calls: as `send`.
---Errors: as `receive`.
---@param type? shm.Type default "u8"
---@param timeout? number seconds
---@return shm.View? view
---@return string|integer|nil format or message
---@return shm.Errno? code
function Channel:peek(type, timeout) end

---Takes out what was peeked at.
---System calls: futex(2), if somebody sleeps.
---Errors: EIDRM. Raises where nothing is peeked at.
---@return true? released
---@return string? message
---@return shm.Errno? code
function Channel:release() end

---A descriptor for event loops (poll(2), epoll(7), luv, cqueues): readable while there is something to receive, or the
---channel is finished; now and then for nothing, so call `receive(0)` until it says EAGAIN. The first call starts
---a thread
---in this process. Closing the channel's arena closes it; a forked child asks for its own.
---System calls: eventfd(2), pthread_create(3); futex(2) in the thread.
---Errors: EMFILE, ENFILE, ENOMEM, EAGAIN, EIDRM.
---@return integer? fd
---@return string? message
---@return shm.Errno? code
function Channel:fd() end

---Size, use and counts.
---System calls: none.
---Errors: EIDRM.
---@return shm.ChannelStat? stat
---@return string? message
---@return shm.Errno? code
function Channel:stat() end

---Publishes a value. It waits for other publishers only. One that is larger than `stat().limit` raises.
---System calls: futex(2), if somebody sleeps.
---Errors: EPIPE (finished), ETIMEDOUT (a publisher is stopped), EIDRM, EFAULT.
---@param value shm.Value
---@return true? published
---@return string? message
---@return shm.Errno? code
function Topic:publish(value) end

---Subscribes: from the next message on, or from the oldest that is there.
---System calls: futex(2), if somebody publishes at the moment.
---Errors: ETIMEDOUT (a publisher is stopped), EIDRM, EFAULT.
---@param opts? { from?: "latest"|"oldest", spin?: integer }
---@return shm.Subscription? subscription
---@return string? message
---@return shm.Errno? code
function Topic:subscribe(opts) end

---Nothing more is published; subscribers receive what is there, then EPIPE.
---System calls: futex(2), if somebody sleeps.
---Errors: ETIMEDOUT (a publisher is stopped), EIDRM, EFAULT.
---@return true? finished
---@return string? message
---@return shm.Errno? code
function Topic:finish() end

---Size, use and counts.
---System calls: none.
---Errors: EIDRM.
---@return shm.TopicStat? stat
---@return string? message
---@return shm.Errno? code
function Topic:stat() end

---Receives the next value, and how many before it were lost: overrun, since this subscriber was slow. What a publisher
---was about to publish when it was killed may be counted with them.
---System calls: futex(2), if nothing is there.
---Errors: EAGAIN (timeout 0), ETIMEDOUT, EIDRM, EFAULT; EPIPE (finished, and all is received; a fourth value says how
---many were lost behind the last); EBADMSG (the message is damaged) and EPROTO (it has no Lua value; the error says
---what it holds), of which a fourth value says how many were lost before it, if any. If the call raises, as where
---memory is short, the message is still the next.
---@param timeout? number seconds; nil waits for ever, 0 only tries
---@return shm.Value? value
---@return integer|string? lost or message
---@return shm.Errno? code
---@return integer? lost with an error
function Subscription:receive(timeout) end

---`for value, lost in s:messages() do`: receives until the topic is finished; other errors raise, and another loop goes
---on behind a message that is EBADMSG or EPROTO. How many were lost behind the last value, `receive` says afterwards.
---System calls: as `receive`.
---Errors: none.
---@return fun(): shm.Value?, integer? next
function Subscription:messages() end

---Calls: sends a request and waits for its reply. A server that is stopped is waited for; one that dies fails the call,
---within some tenths of a second. Giving up, by the timeout or an error (Ctrl-C), is final: a reply that comes later
---reaches nobody, and what no server has taken yet is passed over.
---System calls: futex(2); kill(2) and /proc, to see whether the server lives.
---Errors: EREMOTE (the server replied with an error, which is the message), EOWNERDEAD (it died before it replied),
---ETIMEDOUT, EPIPE (finished), EIDRM, EFAULT, EBADMSG, EPROTO (the reply has no Lua value).
---@param value shm.Value
---@param timeout? number seconds; nil waits for ever
---@return shm.Value? reply
---@return string? message
---@return shm.Errno? code
function Service:call(value, timeout) end

---`for request, reply in s:requests() do reply(value) end`: serves until the service is finished. `reply(nil, message)`
---replies with an error; so does an error that leaves the loop. Each request is replied to once, in the loop or later;
---one whose `reply` is collected fails. `reply` returns nil, a message and ECANCELED where nobody gets it: the caller
---has given up or died. An error has its position in its message, as `error` has put it there, and travels without a
---traceback. A request that is damaged or has no Lua value is replied to with an error that says so, and the loop goes
---on. If memory is too short for a request, the loop raises, and the request is left to another server.
---System calls: futex(2); kill(2) and /proc, to see who lives.
---Errors: none; they raise.
---@return fun(): shm.Value?, fun(value: shm.Value?, message: string?): true?, string?, string? next
function Service:requests() end

---No more calls, by anybody; those that were made are served.
---System calls: futex(2), if somebody sleeps.
---Errors: ETIMEDOUT (a caller is stopped while it calls), EIDRM, EFAULT.
---@return true? finished
---@return string? message
---@return shm.Errno? code
function Service:finish() end

---Gives up what is held. Once: again, it does nothing and returns false.
---System calls: futex(2), if somebody waits.
---Errors: none.
---@return boolean unlocked
function Guard:unlock() end
---Options of `shm.semaphores`.
---@class shm.SemaphoresOptions
---@field mode? shm.Mode exactly these permission bits, whatever the umask; default `"0600"`
---@field value? integer|integer[] 0 to 32767: the first value of each semaphore, or a table of n of them; default 0.
---  Counts only where the set is created, or was never given values
---@field undo? boolean default true: what this process changes by acquire, release and op is undone when it ends,
---  however it ends (SEM_UNDO). That is for locks. A release that others are to keep, as a signal to them, would be
---  taken back: open the set with `undo = false` for that

---Status of a set of semaphores.
---@class shm.SemaphoresStat
---@field key integer signed as C's key_t; 0 is IPC_PRIVATE
---@field id integer
---@field n integer semaphores in the set
---@field mode string permission bits, octal: `"0600"`
---@field uid integer owner
---@field gid integer group of the owner
---@field cuid integer creator
---@field cgid integer group of the creator
---@field otime integer seconds since 1970: the last operation; 0 for never
---@field ctime integer creation, or the last change of values or mode by semctl(2)
---@field pids integer[] of each semaphore: the process that changed it last, 0 for none
---@field ncnt integer[] of each semaphore: how many wait to acquire
---@field zcnt integer[] of each semaphore: how many wait for 0

---A set of System V semaphores: numbers from 0 to 32767, which count from 1. `#s` is how many there are; tostring
---says what it is. The set lives until somebody removes it, and so does what its values say; the handle holds
---nothing of the system: collecting it, or the end of the process, removes no set. It works in a forked child, whose
---changes are undone at its own end.
---@class shm.Semaphores
---@operator len: integer
local Semaphores = {}

---Opens a set of at least n semaphores, or creates it; several processes that call it at once get the same set, with
---its first values. A set that was created and not given values yet is waited for; if that lasts a second, its
---creator has died (or is a program that gives none), and it gets the values of the options.
---System calls: semget(2), semctl(2) with IPC_STAT, GETVAL, GETPID and SETALL, semop(2); flock(2) on /dev/shm where a
---set is without values for a second.
---Errors: ENOENT (no such id, or no such key and no n), ERANGE (it has fewer than n), EACCES (the right to read is
---needed), EFBIG, ENOSPC, ENOMEM, EIDRM (removed again and again meanwhile).
---@param key integer|{id: integer} a key, `shm.PRIVATE` for a new set without one, or `{id=n}` for one that exists
---@param n? integer 1 to 32000; nil: the set must exist, and may have any size
---@param opts? shm.SemaphoresOptions
---@return shm.Semaphores? semaphores
---@return string? message
---@return shm.Errno? code
function shm.semaphores(key, n, opts) end

---Subtracts from a semaphore; sleeps while its value is too small. Signals are served meanwhile: Ctrl-C raises
---"interrupted!".
---System calls: semtimedop(2).
---Errors: ETIMEDOUT, EIDRM, EACCES, ERANGE (too much to undo), ENOMEM.
---@param i integer
---@param n? integer 1 to 32767; default 1
---@param timeout? number seconds; nil waits for ever, 0 only tries
---@return true? acquired
---@return string? message
---@return shm.Errno? code
function Semaphores:acquire(i, n, timeout) end

---Adds to a semaphore, and wakes who can go on now. It need not have been acquired before. Never waits.
---System calls: semtimedop(2).
---Errors: EIDRM, ERANGE (the value would pass 32767, or what is to be undone of it), EACCES, ENOMEM.
---@param i integer
---@param n? integer 1 to 32767; default 1
---@return true? released
---@return string? message
---@return shm.Errno? code
function Semaphores:release(i, n) end

---Sleeps until a semaphore is 0. Signals are served meanwhile, as in acquire.
---System calls: semtimedop(2).
---Errors: ETIMEDOUT, EIDRM, EACCES.
---@param i integer
---@param timeout? number seconds; nil waits for ever, 0 only tries
---@return true? zero
---@return string? message
---@return shm.Errno? code
function Semaphores:wait_zero(i, timeout) end

---Takes several steps at once, in their order: all of them, or, while one is not possible, none. A step adds delta to
---semaphore i; a delta of 0 waits for 0. Sleeps until all are possible; signals are served meanwhile, as in acquire.
---System calls: semtimedop(2).
---Errors: ETIMEDOUT, EIDRM, ERANGE, E2BIG (more than 500 steps: SEMOPM), EACCES, ENOMEM.
---@param steps integer[][] `{ {i, delta}, ... }`, delta from -32767 to 32767; read without metamethods
---@param timeout? number seconds; nil waits for ever, 0 only tries
---@return true? done
---@return string? message
---@return shm.Errno? code
function Semaphores:op(steps, timeout) end

---The value of a semaphore; it may be another by the time it is here.
---System calls: semctl(2) with GETVAL.
---Errors: EIDRM, EACCES.
---@param i integer
---@return integer? value
---@return string? message
---@return shm.Errno? code
function Semaphores:value(i) end

---The values of all semaphores, at one moment.
---System calls: semctl(2) with IPC_STAT and GETALL.
---Errors: EIDRM, EACCES, ENOMEM.
---@return integer[]? values
---@return string? message
---@return shm.Errno? code
function Semaphores:values() end

---Gives a semaphore a value, and wakes who can go on now. What processes were to undo of this semaphore is forgotten:
---of all processes, not only this one.
---System calls: semctl(2) with SETVAL.
---Errors: EIDRM, EACCES.
---@param i integer
---@param v integer 0 to 32767
---@return true? set
---@return string? message
---@return shm.Errno? code
function Semaphores:set(i, v) end

---Status of the set. The three arrays are looked at one by one, not at one moment.
---System calls: semctl(2) with IPC_STAT, GETPID, GETNCNT and GETZCNT.
---Errors: EIDRM, EACCES.
---@return shm.SemaphoresStat? stat
---@return string? message
---@return shm.Errno? code
function Semaphores:stat() end

---Removes the set, at once and for all processes: who waits gets EIDRM. Only this does; a set outlives its handles.
---System calls: semctl(2) with IPC_RMID.
---Errors: EIDRM, EPERM.
---@return true? removed
---@return string? message
---@return shm.Errno? code
function Semaphores:remove() end


---Options of `shm.messages`.
---@class shm.MessagesOptions
---@field mode? shm.Mode exactly these permission bits, whatever the umask; default `"0600"`
---@field create? boolean default true; false: the queue must exist, else ENOENT

---Status of a message queue.
---@class shm.MessagesStat
---@field backing "messages"
---@field key integer signed as C's key_t; 0 is IPC_PRIVATE
---@field id integer
---@field size integer bytes of the messages in it, as cbytes
---@field mode string permission bits, octal: `"0600"`
---@field uid integer owner
---@field gid integer group of the owner
---@field cuid integer creator
---@field cgid integer group of the creator
---@field qnum integer messages in it
---@field cbytes integer bytes of the messages in it
---@field qbytes integer bytes that the messages in it may have: MSGMNB, unless `set` has changed it
---@field lspid integer the process that sent last; 0 for none, and for one of another PID namespace
---@field lrpid integer the process that received last, as lspid
---@field stime integer seconds since 1970: the last send; 0 for never
---@field rtime integer the last receive; 0 for never
---@field ctime integer creation, or the last change by `set`
---@field removed boolean false: what is removed is gone

---What `queue:set` changes; a field left out stays.
---@class shm.MessagesChange: shm.Change
---@field qbytes? integer bytes that the messages in it may have; more than MSGMNB only root may say

---What `queue:receive` takes in place of its last argument, or behind it.
---@class shm.MessagesReceiveOptions
---@field except? boolean any type but the one given, which is at least 1 (MSG_EXCEPT)

---A System V message queue: messages that the kernel keeps, each with a type, in the order in which they were sent. C
---programs share it by msgsnd(2) and msgrcv(2). (Between Lua programs, `arena:channel` carries tables, too, and needs
---no system call for a message.) tostring says what it is. The queue lives until somebody removes it; the handle holds
---nothing of the system, and collecting it removes nothing. It works in a forked child.
---@class shm.Messages
local Messages = {}

---Opens a message queue, or creates it; several processes that call it at once get the same queue.
---System calls: msgget(2), msgctl(2) with IPC_STAT.
---Errors: ENOENT (no such id; or no such key, and `create` is false), ENOSPC (MSGMNI), ENOMEM.
---@param key integer|{id: integer} a key, `shm.PRIVATE` for a new queue without one, or `{id=n}` for one that exists
---@param opts? shm.MessagesOptions
---@return shm.Messages? queue
---@return string? message
---@return shm.Errno? code
function shm.messages(key, opts) end

---Sends a message; waits while the queue is full. Signals are served meanwhile: Ctrl-C raises "interrupted!". msgsnd(2)
---has no timeout: with one, the queue is looked at every 50 microseconds, and at longer and longer intervals, of up to
---10 milliseconds. Without one, the kernel wakes the sender at once.
---System calls: msgsnd(2), nanosleep(2).
---Errors: EAGAIN (it is full, and the timeout is 0), ETIMEDOUT, EMSGSIZE (more than MSGMAX, or than qbytes), EIDRM,
---EACCES (the right to write is needed), ENOMEM.
---@param data string any bytes, also none
---@param type? integer from 1; default 1
---@param timeout? number seconds; nil waits for ever, 0 only tries
---@return true? sent
---@return string? message
---@return shm.Errno? code
function Messages:send(data, type, timeout) end

---Receives a message, whole; waits while there is none. Signals are served meanwhile, and a timeout is as in send. A
---message that was taken out of the queue when memory ran out is what the next receive returns; if the queue object is
---collected before, it goes back to the end of the queue.
---System calls: msgrcv(2), nanosleep(2); msgctl(2) with IPC_STAT for messages above 8192 bytes.
---Errors: EAGAIN (there is none, and the timeout is 0), ETIMEDOUT, EIDRM, EACCES (the right to read is needed), ENOMEM.
---@param type? integer 0, the default: the first message; n: the first of type n; -n: the first of the lowest type that
---  is at most n
---@param timeout? number|shm.MessagesReceiveOptions seconds; nil waits for ever, 0 only tries
---@param opts? shm.MessagesReceiveOptions
---@return string? data
---@return integer|string|nil type its type; or a message
---@return shm.Errno? code
function Messages:receive(type, timeout, opts) end

---Status of the queue.
---System calls: msgctl(2) with IPC_STAT, or MSG_STAT_ANY without the right to read.
---Errors: EIDRM.
---@return shm.MessagesStat? stat
---@return string? message
---@return shm.Errno? code
function Messages:stat() end

---Changes mode, owner, and how many bytes the messages in it may have.
---System calls: msgctl(2) with IPC_STAT and IPC_SET.
---Errors: EIDRM, EPERM (it is another's, or qbytes is more than MSGMNB).
---@param change shm.MessagesChange
---@return true? changed
---@return string? message
---@return shm.Errno? code
function Messages:set(change) end

---Removes the queue and the messages in it, at once, for all processes: who waits gets EIDRM.
---System calls: msgctl(2) with IPC_RMID.
---Errors: EIDRM, EPERM.
---@return true? removed
---@return string? message
---@return shm.Errno? code
function Messages:remove() end

return shm
