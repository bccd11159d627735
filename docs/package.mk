# package.mk: man page, completion and option reference; install, uninstall, Debian package.
# SPDX-License-Identifier: BSD-2-Clause
#
# DESTDIR stands before every path and is not part of what is installed; PREFIX is.

PREFIX ?= /usr/local
DESTDIR ?=
BINDIR ?= $(PREFIX)/bin
MANDIR ?= $(PREFIX)/share/man
COMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions
DOCDIR ?= $(PREFIX)/share/doc/tollgate
INCLUDEDIR ?= $(PREFIX)/include/tollgate
INSTALL ?= install

# The program itself prints them, from its table of options.
PRINTED_DOCS := $(B)/docs/tollgate.1 $(B)/docs/tollgate.bash $(B)/docs/options.md
# The table of calls makes these (Makefile).
CALL_DOCS := $(B)/docs/calls.md $(B)/docs/tollgate-calls.7 $(B)/docs/policy.json
MADE_DOCS := $(PRINTED_DOCS) $(CALL_DOCS)
# What a module that is built elsewhere includes, and its guest; vmm/module_file.h has the rules.
MODULE_HEADERS := $(filter-out vmm/cli.h vmm/cli_parser.h vmm/command.h vmm/report.h,$(wildcard vmm/*.h))
GUEST_HEADERS := $(wildcard guest/abi/*.h)
MADE_HEADERS := guest/abi/calls.h guest/abi/stubs.h
PAGES := $(wildcard docs/*.md docs/*.json)

.PHONY: docs install uninstall deb
docs: $(MADE_DOCS)

$(B)/docs/tollgate.1: HELP := --man
$(B)/docs/tollgate.bash: HELP := --bash-completion
$(B)/docs/options.md: HELP := --markdown
$(PRINTED_DOCS): $(B)/tollgate
	@mkdir -p $(@D)
	$(B)/tollgate help $(HELP) >$@.new
	mv $@.new $@

$(CALL_DOCS): $(B)/docs/%: $(ABI_GEN)
	@mkdir -p $(@D)
	cp $(B)/gen/docs/$* $@

# The README's links to docs/ hold in the installed tree too.
install: $(B)/tollgate $(MADE_DOCS)
	$(INSTALL) -d "$(DESTDIR)$(BINDIR)" "$(DESTDIR)$(MANDIR)/man1" "$(DESTDIR)$(MANDIR)/man7" \
		"$(DESTDIR)$(COMPLETIONDIR)" "$(DESTDIR)$(DOCDIR)/docs" \
		"$(DESTDIR)$(INCLUDEDIR)/vmm" "$(DESTDIR)$(INCLUDEDIR)/guest/abi"
	$(INSTALL) -m 755 $(B)/tollgate "$(DESTDIR)$(BINDIR)/tollgate"
	$(INSTALL) -m 644 $(B)/docs/tollgate.1 "$(DESTDIR)$(MANDIR)/man1/tollgate.1"
	$(INSTALL) -m 644 $(B)/docs/tollgate-calls.7 "$(DESTDIR)$(MANDIR)/man7/tollgate-calls.7"
	$(INSTALL) -m 644 $(B)/docs/tollgate.bash "$(DESTDIR)$(COMPLETIONDIR)/tollgate"
	$(INSTALL) -m 644 README.md LICENSE "$(DESTDIR)$(DOCDIR)"
	$(INSTALL) -m 644 $(PAGES) $(B)/docs/options.md $(B)/docs/calls.md $(B)/docs/policy.json \
		"$(DESTDIR)$(DOCDIR)/docs"
	$(INSTALL) -m 644 $(MODULE_HEADERS) "$(DESTDIR)$(INCLUDEDIR)/vmm"
	$(INSTALL) -m 644 $(GUEST_HEADERS) $(MADE_HEADERS:%=$(B)/gen/%) "$(DESTDIR)$(INCLUDEDIR)/guest/abi"

# What is not ours stays, folders that other files lie in too.
uninstall:
	rm -f "$(DESTDIR)$(BINDIR)/tollgate" "$(DESTDIR)$(MANDIR)/man1/tollgate.1" \
		"$(DESTDIR)$(MANDIR)/man7/tollgate-calls.7" "$(DESTDIR)$(COMPLETIONDIR)/tollgate" \
		"$(DESTDIR)$(DOCDIR)/README.md" "$(DESTDIR)$(DOCDIR)/LICENSE" \
		"$(DESTDIR)$(DOCDIR)/docs/options.md" "$(DESTDIR)$(DOCDIR)/docs/calls.md" \
		"$(DESTDIR)$(DOCDIR)/docs/policy.json"
	cd "$(DESTDIR)$(DOCDIR)" 2>/dev/null && rm -f $(PAGES) || true
	cd "$(DESTDIR)$(INCLUDEDIR)" 2>/dev/null && \
		rm -f $(MODULE_HEADERS) $(GUEST_HEADERS) $(MADE_HEADERS) && \
		rmdir guest/abi guest vmm 2>/dev/null || true
	rmdir "$(DESTDIR)$(INCLUDEDIR)" 2>/dev/null || true
	rmdir "$(DESTDIR)$(DOCDIR)/docs" "$(DESTDIR)$(DOCDIR)" 2>/dev/null || true

deb: $(B)/tollgate $(MADE_DOCS)
	@B="$(B)" MAKE="$(MAKE)" sh docs/package/deb.sh
