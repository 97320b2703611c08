/*
 * directory.h: the memory of an arena before its objects: header, entries, members. Owns what is
 * where in it, and which extents are free. Its callers hold the arena's lock, but where it says
 * otherwise. Touches sync, os, base.
 *
 *   0     header    what it is, and the lock
 *   256   entries   128 bytes each: name, kind, layout, offset, size, state
 *   ...   members   for each open handle: the process, and a bit for each entry that it has open
 *   start objects
 *
 * The entries are the only truth: an extent that none of them covers is free. An entry's state is
 * stored last, so an object is there wholly, or not at all.
 */
#ifndef SHMX_MEM_DIRECTORY_H
#define SHMX_MEM_DIRECTORY_H

#include "mem/arena.h"

/* Where everything is; from the size of the segment, never from its memory. Lockless. */
void shmx_directory_measure(shmx_arena *arena, uint64_t size);

/* Makes what is not one yet an arena, and checks that it is one of ours. Takes the lock. */
int shmx_directory_prepare(shmx_arena *arena);

/* Is there an arena of our format in a segment that is large enough for one, be it half made?
 * EPROTOTYPE, EPROTONOSUPPORT, with facts. Lockless; only looks. */
int shmx_directory_identify(shmx_segment *segment);

/* Is it an arena of ours, and whole? EPROTOTYPE, EPROTONOSUPPORT, ERANGE (its size is not the
 * segment's), EXDEV; with facts. Lockless; only looks. */
int shmx_directory_check(shmx_arena *arena);

/* The lock, patiently; or if it can be had within SHMX_SLICE. */
int shmx_directory_enter(shmx_arena *arena);
bool shmx_directory_try_enter(shmx_arena *arena);
void shmx_directory_leave(shmx_arena *arena);

/* ---- members ---- */

/* A place for our process, with no bits set. EUSERS, with facts in the arena's segment. */
int shmx_directory_join(shmx_arena *arena);

/* Gives up our place. Lockless. */
void shmx_directory_part(shmx_arena *arena);

/* Our bit of an entry. Lockless. */
void shmx_directory_mark(shmx_arena *arena, uint32_t entry, bool used);

/* The process that made the arena; that of a place; and whether it has an entry open. Lockless. */
uint64_t shmx_directory_creator(const shmx_arena *arena);
uint64_t shmx_directory_member(const shmx_arena *arena, uint32_t number);
bool shmx_directory_uses(const shmx_arena *arena, uint32_t number, uint32_t entry);

/* ---- entries ---- */

/* Finds the entry of this name: false where there is none. */
bool shmx_directory_find(const shmx_arena *arena, const char *name, uint32_t *entry);

/* Makes an entry, with its memory zeroed. ENOSPC, with facts; EFAULT; ENOMEM: the extent's pages
 * were refused, and those that were taken are freed. */
int shmx_directory_make(shmx_arena *arena, const char *name, const shmx_kind *kind, uint32_t *entry,
                        shmx_facts *facts);

/* Takes its name away. */
void shmx_directory_remove(shmx_arena *arena, uint32_t entry);

/* Frees what was removed and nobody has open. */
void shmx_directory_sweep(shmx_arena *arena);

/* Is it removed, and not freed? Lockless. */
bool shmx_directory_is_removed(const shmx_arena *arena, uint32_t entry);

/* An entry, each field read once. */
struct shmx_directory_entry {
  uint32_t state, kind;
  uint64_t layout, offset, size, count, serial;
  char name[SHMX_ARENA_NAME_MAX + 1];
};

/* Reads an entry; false where none of its objects could be, nor be removed. */
bool shmx_directory_read(const shmx_arena *arena, uint32_t entry,
                         struct shmx_directory_entry *found);

/* Where an entry says whether its object lives. Lockless. */
const uint32_t *shmx_directory_state(const shmx_arena *arena, uint32_t entry);

/* Bytes that are in use, and of the largest free extent. */
void shmx_directory_space(const shmx_arena *arena, uint64_t *used, uint64_t *largest);

/* Handles that are open. */
uint32_t shmx_directory_members(const shmx_arena *arena);

#endif
