/*
 * record.h: layouts of C structs, computed as the compiler does: alignment, padding, arrays, nested
 * structs. Owns what a definition may say. Knows no segment and allocates nothing. Touches base.
 *
 * A layout is built field by field in memory of the caller, who keeps it as long as it is used:
 *
 *   shmx_field fields[3];
 *   shmx_layout quote;
 *   int status = shmx_layout_start(&quote, "Quote", fields, 3);
 *   if (status == 0) status = shmx_layout_add(&quote, "u32 id", NULL, NULL);
 *   if (status == 0) status = shmx_layout_add(&quote, "f64 price[8]", NULL, NULL);
 *   if (status == 0) status = shmx_layout_add(&quote, "char name[16]", NULL, NULL);
 *   if (status == 0) status = shmx_layout_finish(&quote);
 *   if (status != 0) fprintf(stderr, "Quote %s\n", quote.fault);
 *
 * After an error `fault` has a sentence about it, and the layout is of no use.
 */
#ifndef SHMX_MEM_RECORD_H
#define SHMX_MEM_RECORD_H

#include "base/api.h"
#include "mem/element.h"

SHMX_BEGIN_DECLS

enum {
  SHMX_IDENTIFIER_MAX = 63, /* bytes of a name: what C compilers tell apart */
  SHMX_FIELDS_MAX = 255,    /* fields of a layout */
  SHMX_PARTS_MAX = 255,     /* different layouts inside a layout */
  SHMX_DEPTH_MAX = 16       /* layouts within layouts */
};

/* Bytes of a record, at most: no compiler refuses what is smaller. */
#define SHMX_RECORD_SIZE_MAX ((size_t)1 << 60)

struct shmx_layout;

typedef enum shmx_field_kind {
  SHMX_FIELD_NUMBER, /* one of the ten element types */
  SHMX_FIELD_CHAR,   /* char; an array is text up to a NUL, or to its end */
  SHMX_FIELD_RECORD  /* another layout */
} shmx_field_kind;

typedef struct shmx_field {
  shmx_field_kind kind;
  shmx_type type;                   /* SHMX_FIELD_NUMBER */
  const struct shmx_layout *layout; /* SHMX_FIELD_RECORD */
  size_t offset;                    /* bytes from the start of the record */
  size_t size;                      /* bytes; of one element where it is an array */
  size_t count;                     /* elements of an array; 0 where it is none */
  char name[SHMX_IDENTIFIER_MAX + 1];
} shmx_field;

typedef struct shmx_layout {
  char name[SHMX_IDENTIFIER_MAX + 1];
  size_t size, align; /* as sizeof and _Alignof say */
  size_t field_count;
  shmx_field *fields; /* the caller's, in the order of their definition */
  size_t room;        /* of `fields` */
  size_t part_count;
  const struct shmx_layout *parts[SHMX_PARTS_MAX]; /* all layouts inside, the inner ones first */
  size_t depth;                                    /* layouts within layouts: 1 without any */
  const char *fault; /* what was wrong with the last name or definition; it follows its text */
} shmx_layout;

/* Finds the layout of this name, or NULL. It may leave by longjmp: nothing is held meanwhile. */
typedef const shmx_layout *shmx_layout_find(void *context, const char *name);

/*
 * Begins a layout that has no fields yet; there is room for that many. The name is one that C can
 * declare, and no element type's. Errors: EINVAL. Does not block.
 */
SHMX_API int shmx_layout_start(shmx_layout *layout, const char *name, shmx_field *fields,
                               size_t room);

/*
 * Appends a field: "type name" or "type name[count]". The type is an element type, char, or the
 * name of a layout that `find` knows (NULL knows none). The layout is finished, and is kept as long
 * as this one. Errors: EINVAL, ENOENT (no such type), EEXIST (a field of that name, or another
 * layout of a name that is inside already), E2BIG (too many fields, parts, or levels), EOVERFLOW
 * (the size). Does not block.
 */
SHMX_API int shmx_layout_add(shmx_layout *layout, const char *definition, shmx_layout_find *find,
                             void *context);

/* Ends a layout: pads it to its alignment. Errors: EINVAL (no fields), EOVERFLOW. */
SHMX_API int shmx_layout_finish(shmx_layout *layout);

/* The field of this name, or NULL. Does not block. */
SHMX_API const shmx_field *shmx_layout_field(const shmx_layout *layout, const char *name);

/*
 * Writes C declarations of the layouts inside and of this one, which compile behind
 * #include <stdint.h>, with a NUL at the end. `length` is that of the whole text without the NUL,
 * also where it does not fit. Errors: ERANGE (it needs room for length + 1). Does not block.
 */
SHMX_API int shmx_layout_cdef(const shmx_layout *layout, char *text, size_t room, size_t *length);

SHMX_END_DECLS

#endif
