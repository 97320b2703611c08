/* record.c: parses definitions, lays fields out as C does, and writes them as C. Touches base. */
#include "mem/record.h"
#include "base/checked.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- what C has for the types of a field ---- */

#define ALIGN(type)                                                                                \
  offsetof(                                                                                        \
      struct {                                                                                     \
        char before;                                                                               \
        type value;                                                                                \
      },                                                                                           \
      value)

/* The alignment inside a struct is the ABI's, which need not be the size. */
static const struct ctype {
  const char *name;
  size_t align;
} ctypes[SHMX_TYPES] = {
    [SHMX_I8] = {"int8_t", ALIGN(int8_t)},    [SHMX_U8] = {"uint8_t", ALIGN(uint8_t)},
    [SHMX_I16] = {"int16_t", ALIGN(int16_t)}, [SHMX_U16] = {"uint16_t", ALIGN(uint16_t)},
    [SHMX_I32] = {"int32_t", ALIGN(int32_t)}, [SHMX_U32] = {"uint32_t", ALIGN(uint32_t)},
    [SHMX_I64] = {"int64_t", ALIGN(int64_t)}, [SHMX_U64] = {"uint64_t", ALIGN(uint64_t)},
    [SHMX_F32] = {"float", ALIGN(float)},     [SHMX_F64] = {"double", ALIGN(double)},
};

static size_t align_of(const shmx_field *field) {
  if (field->kind == SHMX_FIELD_NUMBER) return ctypes[field->type].align;
  return field->kind == SHMX_FIELD_RECORD ? field->layout->align : 1;
}

static const char *ctype_of(const shmx_field *field) {
  if (field->kind == SHMX_FIELD_NUMBER) return ctypes[field->type].name;
  return field->kind == SHMX_FIELD_RECORD ? field->layout->name : "char";
}

/* ---- names that C can declare ---- */

/* Keywords up to C23 and GNU's; linux and unix are macros of GNU C. Keywords as _Bool begin so that
 * they are nobody's. */
static const char *const keywords[] = {
    "alignas",  "alignof", "asm",          "auto",     "bool",     "break",   "case",
    "char",     "const",   "constexpr",    "continue", "default",  "do",      "double",
    "else",     "enum",    "extern",       "false",    "float",    "for",     "goto",
    "if",       "inline",  "int",          "linux",    "long",     "nullptr", "register",
    "restrict", "return",  "short",        "signed",   "sizeof",   "static",  "static_assert",
    "struct",   "switch",  "thread_local", "true",     "typedef",  "typeof",  "typeof_unqual",
    "union",    "unix",    "unsigned",     "void",     "volatile", "while",
};

static bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

static bool ends_with(const char *name, const char *ending) {
  size_t length = strlen(name), tail = strlen(ending);
  return length >= tail && strcmp(name + length - tail, ending) == 0;
}

static bool begins_with(const char *name, const char *beginning) {
  return strncmp(name, beginning, strlen(beginning)) == 0;
}

/* C keeps __x and _X for itself, and <stdint.h> defines macros as INT8_MAX and SIZE_WIDTH. */
static bool is_reserved(const char *name) {
  static const char *const subjects[] = {"INT",   "UINT",   "PTRDIFF_", "SIG_ATOMIC_",
                                         "SIZE_", "WCHAR_", "WINT_"};
  if (name[0] == '_' && (name[1] == '_' || (name[1] >= 'A' && name[1] <= 'Z'))) return true;
  if (!ends_with(name, "_MAX") && !ends_with(name, "_MIN") && !ends_with(name, "_WIDTH") &&
      !ends_with(name, "_C"))
    return false;
  for (size_t i = 0; i < sizeof subjects / sizeof *subjects; i++)
    if (begins_with(name, subjects[i])) return true;
  return false;
}

/* What is wrong with a name; NULL where nothing is. */
static const char *name_fault(const char *name, size_t length) {
  if (length == 0) return "has no name";
  if (!is_letter(name[0])) return "has a name that is no C identifier";
  for (size_t i = 0; i < length; i++)
    if (!is_letter(name[i]) && !is_digit(name[i])) return "has a name that is no C identifier";
  if (length > SHMX_IDENTIFIER_MAX) return "has a name of more than 63 bytes";
  return NULL;
}

static const char *reserved_fault(const char *name) {
  for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
    if (strcmp(keywords[i], name) == 0) return "has a name that is a keyword of C";
  return is_reserved(name) ? "has a name that C keeps for itself" : NULL;
}

static int fail(shmx_layout *layout, int status, const char *fault) {
  layout->fault = fault;
  return status;
}

int shmx_layout_start(shmx_layout *layout, const char *name, shmx_field *fields, size_t room) {
  memset(layout, 0, sizeof *layout);
  layout->fields = fields;
  layout->room = room;
  layout->align = layout->depth = 1;
  const char *fault = name_fault(name, strlen(name));
  if (fault == NULL) fault = reserved_fault(name);
  if (fault != NULL) return fail(layout, -EINVAL, fault);
  if (shmx_type_find(name) != SHMX_TYPES)
    return fail(layout, -EINVAL, "has a name that is an element type");
  if ((begins_with(name, "int") || begins_with(name, "uint")) && ends_with(name, "_t"))
    return fail(layout, -EINVAL, "has a name that <stdint.h> keeps for itself");
  memcpy(layout->name, name, strlen(name) + 1);
  return 0;
}

/* ---- parsing "type name[count]" ---- */

struct word {
  const char *text;
  size_t length;
};

static const char *skip_blanks(const char *at) {
  return at + strspn(at, " \t\n\r\f\v");
}

static struct word parse_word(const char **at) {
  struct word word = {skip_blanks(*at), 0};
  word.length = strcspn(word.text, " \t\n\r\f\v[");
  *at = skip_blanks(word.text + word.length);
  return word;
}

/* "[count]", or nothing: then the count is 0. Returns a fault, or NULL. */
static const char *parse_count(const char **at, size_t *count) {
  *count = 0;
  if (**at != '[') return NULL;
  const char *digit = skip_blanks(*at + 1);
  bool is_number = is_digit(*digit);
  for (; is_digit(*digit); digit++)
    if (__builtin_mul_overflow(*count, (size_t)10, count) ||
        __builtin_add_overflow(*count, (size_t)(*digit - '0'), count))
      return "has an array size that is too large";
  digit = skip_blanks(digit);
  if (!is_number || *digit != ']' || *count == 0)
    return "has an array size that is no whole number from 1";
  *at = skip_blanks(digit + 1);
  return NULL;
}

static int parse(shmx_layout *layout, const char *definition, struct word *type,
                 shmx_field *field) {
  const char *at = definition;
  *type = parse_word(&at);
  struct word name = parse_word(&at);
  const char *fault = name_fault(name.text, name.length);
  if (fault == NULL) {
    memcpy(field->name, name.text, name.length);
    field->name[name.length] = '\0';
    fault = reserved_fault(field->name);
  }
  if (fault == NULL) fault = parse_count(&at, &field->count);
  if (fault == NULL && *at != '\0') fault = "is not \"type name\" or \"type name[count]\"";
  return fault == NULL ? 0 : fail(layout, -EINVAL, fault);
}

static int find_type(shmx_layout *layout, struct word word, shmx_layout_find *find, void *context,
                     shmx_field *field) {
  char name[SHMX_IDENTIFIER_MAX + 1] = "";
  if (word.length < sizeof name) memcpy(name, word.text, word.length);
  field->type = shmx_type_find(name);
  if (field->type != SHMX_TYPES) {
    field->kind = SHMX_FIELD_NUMBER;
    field->size = shmx_type_size(field->type);
  } else if (strcmp(name, "char") == 0) {
    field->kind = SHMX_FIELD_CHAR;
    field->size = 1;
  } else {
    field->kind = SHMX_FIELD_RECORD;
    field->layout = find != NULL && name[0] != '\0' ? find(context, name) : NULL;
    if (field->layout == NULL)
      return fail(layout, -ENOENT,
                  "has no such type; there are i8 u8 i16 u16 i32 u32 i64 u64 f32 f64, char, and "
                  "layouts defined before");
    field->size = field->layout->size;
  }
  return 0;
}

/* ---- adding a field ---- */

/* C declares a name once: what has it inside must be the same layout. */
static int add_part(shmx_layout *layout, const shmx_layout *part) {
  for (size_t i = 0; i < layout->part_count; i++) {
    if (layout->parts[i] == part) return 0;
    if (strcmp(layout->parts[i]->name, part->name) == 0)
      return fail(layout, -EEXIST, "brings in a layout whose name an earlier field's layout has");
  }
  if (strcmp(layout->name, part->name) == 0)
    return fail(layout, -EEXIST, "brings in an older layout of this layout's own name");
  if (layout->part_count == SHMX_PARTS_MAX)
    return fail(layout, -E2BIG, "is too much: more than 255 layouts inside");
  layout->parts[layout->part_count++] = part;
  return 0;
}

static int add_parts(shmx_layout *layout, const shmx_layout *inner) {
  if (inner->depth >= SHMX_DEPTH_MAX)
    return fail(layout, -E2BIG, "is too deep: more than 16 layouts within layouts");
  if (inner->depth >= layout->depth) layout->depth = inner->depth + 1;
  for (size_t i = 0; i < inner->part_count; i++) {
    int status = add_part(layout, inner->parts[i]);
    if (status != 0) return status;
  }
  return add_part(layout, inner);
}

static bool place(shmx_layout *layout, shmx_field *field) {
  size_t length, align = align_of(field);
  if (!shmx_round_up(layout->size, align, &field->offset)) return false;
  if (__builtin_mul_overflow(field->size, field->count == 0 ? 1 : field->count, &length))
    return false;
  if (__builtin_add_overflow(field->offset, length, &layout->size)) return false;
  if (align > layout->align) layout->align = align;
  return layout->size <= SHMX_RECORD_SIZE_MAX;
}

int shmx_layout_add(shmx_layout *layout, const char *definition, shmx_layout_find *find,
                    void *context) {
  shmx_field field = {0};
  struct word type;
  if (layout->field_count == layout->room || layout->field_count == SHMX_FIELDS_MAX)
    return fail(layout, -E2BIG, "is one too many: a layout has at most 255 fields");
  int status = parse(layout, definition, &type, &field);
  if (status == 0) status = find_type(layout, type, find, context, &field);
  if (status != 0) return status;
  if (shmx_layout_field(layout, field.name) != NULL)
    return fail(layout, -EEXIST, "has the name of an earlier field");
  if (field.kind == SHMX_FIELD_RECORD) status = add_parts(layout, field.layout);
  if (status != 0) return status;
  if (!place(layout, &field))
    return fail(layout, -EOVERFLOW, "makes the record larger than 2^60 bytes");
  layout->fields[layout->field_count++] = field;
  return 0;
}

int shmx_layout_finish(shmx_layout *layout) {
  if (layout->field_count == 0) return fail(layout, -EINVAL, "has no fields");
  size_t size;
  if (!shmx_round_up(layout->size, layout->align, &size) || size > SHMX_RECORD_SIZE_MAX)
    return fail(layout, -EOVERFLOW, "is larger than 2^60 bytes");
  layout->size = size;
  return 0;
}

const shmx_field *shmx_layout_field(const shmx_layout *layout, const char *name) {
  for (size_t i = 0; i < layout->field_count; i++)
    if (strcmp(layout->fields[i].name, name) == 0) return &layout->fields[i];
  return NULL;
}

/* ---- as C ---- */

struct output {
  char *text;
  size_t room, length;
};

__attribute__((format(printf, 2, 3))) static void put(struct output *output, const char *format,
                                                      ...) {
  bool fits = output->length < output->room;
  va_list arguments;
  va_start(arguments, format);
  output->length += (size_t)vsnprintf(fits ? output->text + output->length : NULL,
                                      fits ? output->room - output->length : 0, format, arguments);
  va_end(arguments);
}

static void put_layout(struct output *output, const shmx_layout *layout) {
  put(output, "typedef struct %s {\n", layout->name);
  for (size_t i = 0; i < layout->field_count; i++) {
    const shmx_field *field = &layout->fields[i];
    put(output, "  %s %s", ctype_of(field), field->name);
    if (field->count != 0) put(output, "[%zu]", field->count);
    put(output, ";\n");
  }
  put(output, "} %s;\n", layout->name);
}

int shmx_layout_cdef(const shmx_layout *layout, char *text, size_t room, size_t *length) {
  struct output output = {text, room, 0};
  for (size_t i = 0; i < layout->part_count; i++)
    put_layout(&output, layout->parts[i]);
  put_layout(&output, layout);
  *length = output.length;
  return output.length < room ? 0 : -ERANGE;
}
