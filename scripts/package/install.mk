# install.mk: what make install puts where, and what it makes for that: the header, the manual pages.

MAN = $(addprefix $(BUILD)/man/,shm.1 shmlua.1 shm.3lua)
SHARE = $(DESTDIR)$(PREFIX)/share

.PHONY: man install uninstall

man: $(MAN) ## make the manual pages, from the tools' own descriptions and that of the API
	@:

install: all man $(BUILD)/include/shmx.h ## install below PREFIX (/usr/local); DESTDIR is put before it
	install -d $(addprefix $(DESTDIR),$(INSTALL_LUADIR) $(PREFIX)/bin $(PREFIX)/include $(PREFIX)/lib/pkgconfig) \
	  $(addprefix $(SHARE)/,shm/examples/embed shm/meta shm/cli man/man1 man/man3 \
	  bash-completion/completions)
	install -m 755 $(BUILD)/shm.so $(DESTDIR)$(INSTALL_LUADIR)/shm.so
	install -m 644 $(BUILD)/libshmx.a $(DESTDIR)$(PREFIX)/lib/libshmx.a
	install -m 755 $(BUILD)/libshmx.so $(DESTDIR)$(PREFIX)/lib/libshmx.so.$(VERSION)
	ln -sf libshmx.so.$(VERSION) $(DESTDIR)$(PREFIX)/lib/libshmx.so.$(SOVERSION)
	ln -sf libshmx.so.$(SOVERSION) $(DESTDIR)$(PREFIX)/lib/libshmx.so
	install -m 644 $(BUILD)/include/shmx.h bindings/lua/shmx_lua.h $(DESTDIR)$(PREFIX)/include
	printf '%s\n' 'Name: shmx' 'Description: shared memory that programs can trust' \
	  'Version: $(VERSION)' 'Cflags: -I$(PREFIX)/include' 'Libs: -L$(PREFIX)/lib -lshmx' \
	  'Libs.private: -pthread' > $(DESTDIR)$(PREFIX)/lib/pkgconfig/shmx.pc
	install -m 755 $(BUILD)/shmlua $(DESTDIR)$(PREFIX)/bin/shmlua
	install -m 644 $(BUILD)/libshmx_lua.a $(DESTDIR)$(PREFIX)/lib/libshmx_lua.a
	printf '%s\n' 'Name: shmx_lua' 'Description: shared memory for programs that embed Lua' \
	  'Version: $(VERSION)' 'Requires: shmx' 'Cflags: -I$(LUA_INCDIR)' \
	  'Libs: -L$(PREFIX)/lib -lshmx_lua -lshmx -l$(LUA) -lm' \
	  > $(DESTDIR)$(PREFIX)/lib/pkgconfig/shmx_lua.pc
	install -m 644 scripts/examples/*.lua $(DESTDIR)$(PREFIX)/share/shm/examples
	install -m 644 $(addprefix scripts/examples/embed/,embed.c Makefile) $(DESTDIR)$(PREFIX)/share/shm/examples/embed
	install -m 644 bindings/meta/shm.lua $(DESTDIR)$(PREFIX)/share/shm/meta/shm.lua
	install -m 755 scripts/shm $(DESTDIR)$(PREFIX)/bin/shm
	install -m 644 scripts/cli/*.lua $(SHARE)/shm/cli
	install -m 644 $(BUILD)/man/*.1 $(SHARE)/man/man1
	install -m 644 $(BUILD)/man/*.3lua $(SHARE)/man/man3
	install -m 644 scripts/completion/shm.bash $(SHARE)/bash-completion/completions/shm
	ln -sf shm $(SHARE)/bash-completion/completions/shmlua
	@test -n "$(DESTDIR)" || test $$(id -u) != 0 || ldconfig

uninstall: ## remove what install installed
	rm -f $(DESTDIR)$(INSTALL_LUADIR)/shm.so $(DESTDIR)$(PREFIX)/lib/libshmx.a \
	  $(DESTDIR)$(PREFIX)/lib/libshmx.so* $(DESTDIR)$(PREFIX)/lib/pkgconfig/shmx.pc \
	  $(addprefix $(DESTDIR)$(PREFIX)/,bin/shm bin/shmlua lib/libshmx_lua.a lib/pkgconfig/shmx_lua.pc) \
	  $(addprefix $(SHARE)/,man/man1/shm.1 man/man1/shmlua.1 man/man3/shm.3lua) \
	  $(addprefix $(SHARE)/bash-completion/completions/,shm shmlua)
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/include/,shmx.h shmx_lua.h)
	rm -rf $(SHARE)/shm

MAN_SOURCES = $(wildcard scripts/man/*.lua scripts/cli/*.lua) bindings/meta/shm.lua
$(BUILD)/man/%: $(MAN_SOURCES)
	@mkdir -p $(@D)
	$(call say,MAN,$@)
	$(Q)$(LUA) scripts/man/man.lua $* >$@

$(BUILD)/man/shmlua.1: $(MAN_SOURCES) $(BUILD)/shmlua
	@mkdir -p $(@D)
	$(call say,MAN,$@)
	$(Q)$(BUILD)/shmlua --help | $(LUA) scripts/man/man.lua shmlua.1 >$@

$(BUILD)/include/shmx.h: scripts/package/header.lua $(wildcard core/*.h core/*/*.h)
	@mkdir -p $(@D)
	$(call say,H,$@)
	$(Q)$(LUA) scripts/package/header.lua core shmx.h >$@
