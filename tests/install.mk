# make install PREFIX=/usr/local DESTDIR= ; make uninstall with the same. No file is set-user-ID: the
# programs need no bit, see netjail(1).
#
# netjail looks for its helpers beside itself (a build tree), else in PREFIX/libexec/netjail.

INSTALL ?= install
BINDIR = $(PREFIX)/bin
LIBEXECDIR = $(PREFIX)/libexec/netjail
MANDIR = $(PREFIX)/share/man
POLICYDIR = $(PREFIX)/share/netjail/policies
EXAMPLEDIR = $(POLICYDIR)/examples
SYSUSERSDIR = $(PREFIX)/lib/sysusers.d
TMPFILESDIR = $(PREFIX)/lib/tmpfiles.d
UNITDIR = $(PREFIX)/lib/systemd/system
# Directories that were not there before, so that uninstall leaves none behind.
DIRECTORIES = DESTDIR='$(DESTDIR)' dist/directories
NEW_DIRECTORIES = $(PREFIX)/share/netjail/directories

MAN_PAGES := $(wildcard man/*.[1-8])
POLICIES := $(wildcard policies/*.conf)
EXAMPLES := $(wildcard policies/examples/*)

# PREFIX is compiled in: another one than the last build's makes the objects again.
$(shell mkdir -p $(B)/gen; [ "$$(cat $(B)/gen/prefix 2>/dev/null)" = '$(PREFIX)' ] || \
	printf '%s\n' '$(PREFIX)' > $(B)/gen/prefix)
$(LIB_OBJECTS) $(SERVICE_OBJECTS) $(B)/obj/wrapper/netjail.o $(B)/obj/wrapper/netjailctl.o: $(B)/gen/prefix

.PHONY: install uninstall
install: all
	$(DIRECTORIES) make $(NEW_DIRECTORIES) $(PREFIX)/share/netjail $(BINDIR) $(LIBEXECDIR) $(EXAMPLEDIR) \
		$(SYSUSERSDIR) $(TMPFILESDIR) $(UNITDIR) $(addprefix $(MANDIR)/man,$(sort $(patsubst .%,%,$(suffix $(MAN_PAGES)))))
	$(INSTALL) -m 755 $(B)/netjail $(B)/netjailctl $(DESTDIR)$(BINDIR)
	$(INSTALL) -m 755 $(B)/netjail-service $(B)/netjail-lookup $(DESTDIR)$(LIBEXECDIR)
	for page in $(MAN_PAGES); do \
		$(INSTALL) -m 644 $$page $(DESTDIR)$(MANDIR)/man$${page##*.} || exit 1; \
	done
	$(INSTALL) -m 644 $(POLICIES) $(DESTDIR)$(POLICYDIR)
	[ -z '$(EXAMPLES)' ] || $(INSTALL) -m 644 $(EXAMPLES) $(DESTDIR)$(EXAMPLEDIR)
	$(INSTALL) -m 644 dist/netjail.sysusers $(DESTDIR)$(SYSUSERSDIR)/netjail.conf
	$(INSTALL) -m 644 dist/netjail.tmpfiles $(DESTDIR)$(TMPFILESDIR)/netjail.conf
	sed 's|@BINDIR@|$(BINDIR)|' dist/netjail-named@.service > $(DESTDIR)$(UNITDIR)/netjail-named@.service
	chmod 644 $(DESTDIR)$(UNITDIR)/netjail-named@.service

uninstall:
	rm -f $(addprefix $(DESTDIR)$(BINDIR)/,netjail netjailctl) \
		$(addprefix $(DESTDIR)$(LIBEXECDIR)/,netjail-service netjail-lookup)
	for page in $(MAN_PAGES); do rm -f $(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/}; done
	rm -f $(addprefix $(DESTDIR)$(POLICYDIR)/,$(notdir $(POLICIES)))
	rm -f $(addprefix $(DESTDIR)$(EXAMPLEDIR)/,$(notdir $(EXAMPLES)))
	rm -f $(DESTDIR)$(SYSUSERSDIR)/netjail.conf $(DESTDIR)$(TMPFILESDIR)/netjail.conf \
		$(DESTDIR)$(UNITDIR)/netjail-named@.service
	$(DIRECTORIES) remove $(NEW_DIRECTORIES)
