/*
 * tag.h: the tags of messages and values that Lua programs send and understand, in channels,
 * topics, services and dicts. A tag is a number from 0 to 127 that the sender gives to its bytes.
 *
 * The core looks at no tag but the two of numbers, which shmx_dict_incr adds to. C programs may use
 * other tags among themselves. A Lua program that comes across one gets EPROTO, with the tag.
 */
#ifndef SHMX_BASE_TAG_H
#define SHMX_BASE_TAG_H

enum {
  SHMX_TAG_BYTES = 0,     /* a string: its bytes */
  SHMX_TAG_MSGPACK = 1,   /* another value, as MessagePack: https://msgpack.org */
  SHMX_TAG_ERROR = 2,     /* only of a service's reply: the text of an error */
  SHMX_TAG_INTEGER = 126, /* 8 bytes: an int64_t in the order of the machine */
  SHMX_TAG_DOUBLE = 127   /* 8 bytes: a double in the order of the machine */
};

#endif
