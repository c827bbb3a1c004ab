# make install PREFIX=/usr/local DESTDIR= ; make uninstall with the same. No file is set-user-ID: the
# programs need no bit, see netjail(1).
#
# netjail looks for netjail-service beside itself (a build tree), else in PREFIX/libexec/netjail.

INSTALL ?= install
BINDIR = $(DESTDIR)$(PREFIX)/bin
LIBEXECDIR = $(DESTDIR)$(PREFIX)/libexec/netjail
MANDIR = $(DESTDIR)$(PREFIX)/share/man
POLICYDIR = $(DESTDIR)$(PREFIX)/share/netjail/policies
SYSUSERSDIR = $(DESTDIR)$(PREFIX)/lib/sysusers.d
TMPFILESDIR = $(DESTDIR)$(PREFIX)/lib/tmpfiles.d

MAN_PAGES := $(wildcard man/*.[1-8])
POLICIES := $(wildcard policies/*.conf)

# PREFIX is compiled in: another one than the last build's makes the objects again.
$(shell mkdir -p $(B)/gen; [ "$$(cat $(B)/gen/prefix 2>/dev/null)" = '$(PREFIX)' ] || \
	printf '%s\n' '$(PREFIX)' > $(B)/gen/prefix)
$(LIB_OBJECTS) $(SERVICE_OBJECTS) $(B)/obj/wrapper/netjail.o $(B)/obj/wrapper/netjailctl.o: $(B)/gen/prefix

.PHONY: install uninstall
install: all
	$(INSTALL) -d $(BINDIR) $(LIBEXECDIR) $(POLICYDIR) $(SYSUSERSDIR) $(TMPFILESDIR)
	$(INSTALL) -m 755 $(B)/netjail $(B)/netjailctl $(BINDIR)
	$(INSTALL) -m 755 $(B)/netjail-service $(LIBEXECDIR)
	for page in $(MAN_PAGES); do \
		$(INSTALL) -d $(MANDIR)/man$${page##*.} && \
		$(INSTALL) -m 644 $$page $(MANDIR)/man$${page##*.} || exit 1; \
	done
	$(INSTALL) -m 644 $(POLICIES) $(POLICYDIR)
	$(INSTALL) -m 644 dist/netjail.sysusers $(SYSUSERSDIR)/netjail.conf
	$(INSTALL) -m 644 dist/netjail.tmpfiles $(TMPFILESDIR)/netjail.conf

uninstall:
	rm -f $(BINDIR)/netjail $(BINDIR)/netjailctl $(LIBEXECDIR)/netjail-service
	for page in $(MAN_PAGES); do rm -f $(MANDIR)/man$${page##*.}/$${page##*/}; done
	for policy in $(POLICIES); do rm -f $(POLICYDIR)/$${policy##*/}; done
	rm -f $(SYSUSERSDIR)/netjail.conf $(TMPFILESDIR)/netjail.conf
	-rmdir $(LIBEXECDIR) $(POLICYDIR) $(DESTDIR)$(PREFIX)/share/netjail 2>/dev/null
