# SPDX-License-Identifier: MIT
#
# rondo's build. `make help` lists the targets; README.md says how to begin.
#
# Files are found by their place, so a new one needs no line here:
#   LAYER/**/*.cc              the library (LAYER: reactor, futures, net)
#   LAYER/examples/NAME.cc     one program each
#   test/LAYER/**/*_test.cc    one test binary per layer, with test/support/*.cc
#   test/parity/NAME.cc        one program each, compared with what CPython did
#   test/fuzz/*.cc             two programs, see test/fuzz/README.md
#   test/*/check.*             further checks, started by test/run
#   bench/NAME.cc              one program each
#   bench/load/*.cc            one program: asks the servers of all contestants
#   bench/micro/*.cc           one program: single operations (Google Benchmark)
#   bench/peers/NAME/build     builds another library's program, see bench/README.md
# A parity or bench program that needs a package says so in a comment line of
# its own: `// Links: libuv` (names of pkg-config).

# ---- What to build ---------------------------------------------------------

BUILD  ?= release
PREFIX ?= /usr/local
PORT   ?= 8888
WERROR ?= -Werror
ifeq ($(origin CXX),default)
CXX := g++
endif

# Two jobs unless the caller says otherwise (its -j comes later and wins).
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j2
endif

MODE_release  := -O2 -g
MODE_debug    := -O0 -g
MODE_asan     := -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all \
                 -fsanitize=address,undefined,float-cast-overflow
MODE_tsan     := -O1 -g -fno-omit-frame-pointer -fsanitize=thread
# The counters live in the profile file itself, so that a process that aborts
# (a death test) still leaves what it ran.
MODE_coverage := -O0 -g -fprofile-instr-generate -fcoverage-mapping \
                 -fprofile-update=atomic
COUNTERS_coverage := -mllvm -runtime-counter-relocation
MODE := $(MODE_$(BUILD))
ifeq ($(MODE),)
$(error BUILD=$(BUILD) is none of: release debug asan tsan coverage)
endif

# WITHOUT_CORO=1 leaves out futures/coro/ and whatever needs it.
DIR := build/$(BUILD)-$(notdir $(CXX))$(if $(WITHOUT_CORO),-without-coro)

# clang's -Wconversion has -Wsign-conversion in it, g++'s has not: neither.
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion \
            -Wno-sign-conversion -Wnon-virtual-dtor -Woverloaded-virtual
# A sanitizer's instrumentation makes g++ see uninitialised reads that are not
# there; the plain builds keep the warning.
ifneq ($(filter asan tsan,$(BUILD)),)
WARNINGS += $(if $(findstring clang,$(CXX)),,-Wno-maybe-uninitialized)
endif

# OpenSSL is net/'s; a program that does not touch it is not linked with it.
PACKAGES      := spdlog openssl
PACKAGE_FLAGS := $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null)
PACKAGE_LIBS  := $(shell pkg-config --libs $(PACKAGES) 2>/dev/null)
GTEST_LIBS     = $(shell pkg-config --libs gtest_main)

COMPILE = $(CXX) -std=c++20 $(MODE) $(COUNTERS_$(BUILD)) $(WARNINGS) $(WERROR) -pthread -I. \
          $(PACKAGE_FLAGS) $(CPPFLAGS) $(CXXFLAGS)
LINK    = $(CXX) $(MODE) -pthread -Wl,--as-needed $(LDFLAGS)
LIBS    = $(PACKAGE_LIBS) $(LDLIBS)

# The packages in a program's `// Links:` line, and their flags.
links        = $(shell sed -n 's,^// Links: *,,p' $(1))
links_cflags = $(if $(call links,$(1)),$(shell pkg-config --cflags $(call links,$(1))))
links_libs   = $(if $(call links,$(1)),$(shell pkg-config --libs $(call links,$(1))))

# ---- What there is ---------------------------------------------------------

LAYERS := reactor futures net
find    = $(call without_coro,$(sort $(shell find $(1) 2>/dev/null)))
ifdef WITHOUT_CORO
CPPFLAGS += -DRONDO_WITHOUT_CORO
# Neither what lies there or says so in its name, nor what includes it.
without_coro = $(shell echo $(filter-out %_coro_test.cc,$(1)) | tr ' ' '\n' | grep -v /coro/ | xargs -r grep -L '"futures/coro/')
else
without_coro = $(1)
endif

ALL_SRC     := $(call find,$(LAYERS) -name '*.cc')
LIB_SRC     := $(foreach f,$(ALL_SRC),$(if $(findstring /examples/,$f),,$f))
HEADERS     := $(call find,$(LAYERS) -name '*.h' -not -path '*/examples/*')
EXAMPLE_SRC := $(call without_coro,$(foreach l,$(LAYERS),$(wildcard $l/examples/*.cc)))
SUPPORT_SRC := $(call without_coro,$(wildcard test/support/*.cc))
PARITY_SRC  := $(if $(WITHOUT_CORO),,$(wildcard test/parity/*.cc))
BENCH_SRC   := $(wildcard bench/*.cc)
LOAD_SRC    := $(wildcard bench/load/*.cc)
MICRO_SRC   := $(wildcard bench/micro/*.cc)
FUZZ_SRC    := $(if $(WITHOUT_CORO),,$(filter-out %/generate.cc,$(wildcard test/fuzz/*.cc)))
tests_of     = $(call find,test/$(1) -name '*_test.cc')
TEST_SRC    := $(foreach l,$(LAYERS),$(call tests_of,$l)) $(SUPPORT_SRC)

obj = $(patsubst %.cc,$(DIR)/obj/%.o,$(1))
pic = $(patsubst %.cc,$(DIR)/pic/%.o,$(1))

version     = $(shell sed -n 's/^.define RONDO_VERSION_$(1) *//p' reactor/version.h)
SOVERSION  := $(call version,MAJOR)
VERSION    := $(SOVERSION).$(call version,MINOR).$(call version,PATCH)

ARCHIVE := $(DIR)/librondo.a
SHARED  := $(DIR)/librondo.so
EXAMPLES := $(foreach f,$(EXAMPLE_SRC),$(DIR)/examples/$(subst /examples/,/,$(f:.cc=)))
TESTED   := $(if $(WITHOUT_CORO),futures,$(LAYERS))
TESTS    := $(foreach l,$(TESTED),$(if $(call tests_of,$l),$(DIR)/test/$l_tests))
PARITY   := $(PARITY_SRC:test/parity/%.cc=$(DIR)/parity/%)
BENCHES  := $(BENCH_SRC:bench/%.cc=$(DIR)/bench/%)
LOAD     := $(DIR)/bench/load/load
MICRO    := $(DIR)/bench/micro/micro
FUZZ     := $(if $(FUZZ_SRC),$(DIR)/fuzz/interpreter $(DIR)/fuzz/generate)

# ---- Targets for people ----------------------------------------------------

.PHONY: all run test check check-asan check-tsan check-clang check-debug \
        check-no-coro lint format coverage bench bench-compare microbench install consumer-test clean help FORCE
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:

all: $(ARCHIVE) $(SHARED) $(EXAMPLES)  ## the library (static and shared) and the examples

# Set-up comes first, and what it installs decides flags that this make has
# already read; hence the second make.
run:  ## set up, build and start the showcase on 127.0.0.1 (PORT=8888, and the next)
	@.ci/setup run
	@$(MAKE) --no-print-directory $(DIR)/examples/net/showcase
	@exec $(DIR)/examples/net/showcase $(PORT)

# Everything in the plain build (empty); in the others what they may change.
KINDS := $(if $(WITHOUT_CORO),unit,$(if $(filter release-g++%,$(BUILD)-$(notdir $(CXX))),,unit examples parity fuzz))
test:  ## set up, build and run everything that must hold (KINDS= to choose)
	@.ci/setup test
	@$(MAKE) --no-print-directory tests
	@BUILD=$(BUILD) CXX=$(CXX) test/run $(DIR) $(KINDS)

check-asan:  ## the tests under the address and undefined-behaviour sanitizers
	@$(MAKE) --no-print-directory test BUILD=asan CXX=g++
check-tsan:  ## the tests under the thread sanitizer (clang)
	@.ci/setup check
	@$(MAKE) --no-print-directory test BUILD=tsan CXX=clang++-19
check-clang:  ## the tests as clang builds them
	@.ci/setup check
	@$(MAKE) --no-print-directory test BUILD=release CXX=clang++-19
check-debug:  ## the tests without optimisation
	@$(MAKE) --no-print-directory test BUILD=debug

check-no-coro:  ## reactor and futures without futures/coro/
	@$(MAKE) --no-print-directory test WITHOUT_CORO=1

CHECKS := check-asan check-tsan check-clang check-no-coro lint
check:  ## all of: check-asan check-tsan check-clang check-no-coro lint
	@.ci/setup check
	@failed=; for check in $(CHECKS); do \
	   echo "== $$check"; start=$$(date +%s); \
	   $(MAKE) --no-print-directory $$check || failed="$$failed $$check"; \
	   echo "== $$check: $$(($$(date +%s) - start)) s"; \
	 done; \
	 if [ -n "$$failed" ]; then echo "check: failed:$$failed"; exit 1; fi; \
	 echo "check: all passed"

lint:  ## format, clang-tidy, header and house rules (.ci/lint)
	@.ci/setup check
	@$(MAKE) --no-print-directory -k lint-all

format:  ## rewrite our sources as .clang-format says
	@.ci/setup check
	@clang-format-19 -i $(FORMATTED)

# So many of a layer's lines are run by its tests (per cent), and so many of all
# branches. In reactor/ the tool itself misses a few that are inline; each line
# of net/ that never runs is explained in .ci/uncovered.
COVERED       ?= reactor:99.5 futures:100 net:95
BRANCHES_MIN  ?= 90
coverage:  ## lines and branches that unit tests and examples reach (clang)
	@.ci/setup check
	@$(MAKE) --no-print-directory tests BUILD=coverage CXX=clang++-19
	@.ci/coverage build/coverage-clang++-19 $(BRANCHES_MIN) $(COVERED)

bench:  ## measure us beside raw epoll and the peers (BENCH=pattern QUICK=1 RESULTS=file)
	@.ci/setup bench
	@$(MAKE) --no-print-directory benches
	@bench/run $(DIR)

bench-compare:  ## what a change has cost: A=old.json B=new.json
	@bench/run --compare $(A) $(B)

microbench:  ## single operations with Google Benchmark (BENCH=pattern)
	@.ci/setup microbench
	@$(MAKE) --no-print-directory $(MICRO)
	@$(MICRO) --benchmark_filter='$(or $(BENCH),.)'

consumer-test:  ## install into a scratch directory, build the examples against it
	@.ci/setup test
	@BUILD=$(BUILD) CXX=$(CXX) test/run $(DIR) consumer

clean:  ## remove everything that was built
	rm -rf build

help:  ## this list
	@echo "make [TARGET] [BUILD=release|debug|asan|tsan] [CXX=g++|clang++-19]"; echo
	@sed -n 's/^\([a-z-]*\):.*  ## \(.*\)/\1\t\2/p' Makefile | expand -t 16

# ---- Targets for the recipes above -----------------------------------------

.PHONY: tests benches lint-all lint-format lint-rules
tests: $(TESTS) $(EXAMPLES) $(PARITY) $(FUZZ) $(if $(WITHOUT_CORO),,$(LOAD) $(DIR)/bench/soon)
benches: $(BENCHES) $(LOAD)

FORMATTED := $(ALL_SRC) $(call find,$(LAYERS) -name '*.h') \
             $(call find,test bench -name '*.h' -o -name '*.cc')
lint-all: lint-rules lint-format $(HEADERS:%=$(DIR)/alone/%.ok) \
          $(LIB_SRC:%.cc=$(DIR)/tidy/%.ok)

lint-rules:
	@.ci/lint
lint-format:
	@$(if $(FORMATTED),clang-format-19 --dry-run -Werror $(FORMATTED))

# ---- How things are built --------------------------------------------------

# One short line per step; the whole command with V=1.
Q   := $(if $(V),,@)
say  = @mkdir -p $(@D); echo '  $(1)'

# Remembers the command line and the list of files: a change of either
# rebuilds what depends on it, and nothing else does.
remember = @mkdir -p $(@D); echo '$(1)' | cmp -s - $@ || echo '$(1)' > $@
$(DIR)/flags: FORCE
	$(call remember,$(COMPILE) $(LINK) $(LIBS) $(shell $(CXX) --version | head -1))
$(DIR)/files: FORCE
	$(call remember,$(LIB_SRC) $(TEST_SRC))
FORCE:

# Two sets of objects: position-independent code costs a little on every call,
# which the static library, and so every measurement, need not pay.
$(DIR)/obj/%.o: %.cc $(DIR)/flags
	$(call say,compile $<)
	$(Q)$(COMPILE) $(call links_cflags,$<) -MMD -MP -c -o $@ $<
$(DIR)/pic/%.o: %.cc $(DIR)/flags
	$(call say,compile $< (shared))
	$(Q)$(COMPILE) -fPIC -fvisibility=default -fno-semantic-interposition \
	  -MMD -MP -c -o $@ $<

$(ARCHIVE): $(call obj,$(LIB_SRC)) $(DIR)/files
	$(call say,archive $@)
	@rm -f $@
	$(Q)$(AR) rcs $@ $(filter %.o,$^)

$(SHARED).$(VERSION): $(call pic,$(LIB_SRC)) $(DIR)/files
	$(call say,link $@)
	$(Q)$(LINK) -shared -Wl,-soname,librondo.so.$(SOVERSION) -o $@ $(filter %.o,$^) $(LIBS)
$(SHARED): $(SHARED).$(VERSION)
	@ln -sf $(<F) $(DIR)/librondo.so.$(SOVERSION)
	@ln -sf $(<F) $@

# $(call program,NAME,SOURCE): one program from one source and the library.
define program
$(1): $(call obj,$(2)) $$(ARCHIVE)
	$$(call say,link $$@)
	$$(Q)$$(LINK) -o $$@ $$^ $$(LIBS) $$(call links_libs,$(2))
endef
$(foreach f,$(EXAMPLE_SRC),$(eval $(call program,$(DIR)/examples/$(subst /examples/,/,$(f:.cc=)),$f)))
$(foreach f,$(PARITY_SRC),$(eval $(call program,$(f:test/parity/%.cc=$(DIR)/parity/%),$f)))
$(foreach f,$(BENCH_SRC),$(eval $(call program,$(f:bench/%.cc=$(DIR)/bench/%),$f)))

# The load generator knows nothing of the library.
$(LOAD): $(call obj,$(LOAD_SRC))
	$(call say,link $@)
	$(Q)$(LINK) -o $@ $^
$(MICRO): $(call obj,$(MICRO_SRC)) $(ARCHIVE)
	$(call say,link $@)
	$(Q)$(LINK) -o $@ $^ $(LIBS) $(call links_libs,$(firstword $(MICRO_SRC)))

# The fuzzer: what makes random programs, and what runs them on the library.
$(DIR)/fuzz/generate: $(call obj,test/fuzz/generate.cc)
	$(call say,link $@)
	$(Q)$(LINK) -o $@ $^
$(DIR)/fuzz/interpreter: $(call obj,$(FUZZ_SRC)) $(ARCHIVE)
	$(call say,link $@)
	$(Q)$(LINK) -o $@ $^ $(LIBS)

# $(call test_binary,LAYER): all tests of a layer in one program.
define test_binary
$(DIR)/test/$(1)_tests: $(call obj,$(call tests_of,$(1)) $(SUPPORT_SRC)) $$(ARCHIVE) $(DIR)/files
	$$(call say,link $$@)
	$$(Q)$$(LINK) -o $$@ $$(filter %.o %.a,$$^) $$(GTEST_LIBS) $$(LIBS)
endef
$(foreach l,$(LAYERS),$(eval $(call test_binary,$l)))

# ---- Lint that follows dependencies ----------------------------------------

# clang-tidy again only for what changed: an object is newer than its headers.
$(DIR)/tidy/%.ok: $(DIR)/obj/%.o .clang-tidy
	$(call say,tidy $*.cc)
	$(Q)clang-tidy-19 --quiet $*.cc -- -std=c++20 -pthread -I. $(PACKAGE_FLAGS) 2>$@.log \
	  || { grep -v 'warnings\? generated' $@.log; exit 1; }
	@touch $@

# Each header compiles alone.
$(DIR)/alone/%.ok: % $(DIR)/flags
	$(call say,alone $<)
	$(Q)echo '#include "$<"' | $(COMPILE) -MMD -MP -MF $@.d -MT $@ -fsyntax-only -x c++ -
	@touch $@

# ---- Installing ------------------------------------------------------------

# A header's include lines are its paths in this tree; installed under
# include/rondo/ they get that name in front, so that nothing of ours can be
# taken for somebody else's <net/...>.
prefixed = sed 's,\#include "\(reactor\|futures\|net\)/,\#include "rondo/\1/,'
INSTALLED := $(filter-out %/internal/log.h,$(HEADERS))
TO := $(DESTDIR)$(PREFIX)

install: $(ARCHIVE) $(SHARED)  ## library, headers, pkg-config and CMake files (PREFIX, DESTDIR)
	@for header in $(INSTALLED); do \
	   mkdir -p $(TO)/include/rondo/$$(dirname $$header) && \
	   $(prefixed) $$header > $(TO)/include/rondo/$$header || exit 1; \
	 done
	@mkdir -p $(TO)/lib/pkgconfig $(TO)/lib/cmake/rondo
	@cp $(ARCHIVE) $(SHARED).$(VERSION) $(TO)/lib
	@ln -sf librondo.so.$(VERSION) $(TO)/lib/librondo.so.$(SOVERSION)
	@ln -sf librondo.so.$(VERSION) $(TO)/lib/librondo.so
	@$(fill) .package/rondo.pc.in > $(TO)/lib/pkgconfig/rondo.pc
	@for file in rondo-config rondo-config-version; do \
	   $(fill) .package/$$file.cmake.in > $(TO)/lib/cmake/rondo/$$file.cmake || exit 1; \
	 done
	@echo "installed rondo $(VERSION) in $(TO)"
fill = sed -e 's,@PREFIX@,$(PREFIX),g' -e 's,@VERSION@,$(VERSION),g' \
           -e 's,@SOVERSION@,$(SOVERSION),g' -e 's,@PRIVATE_LIBS@,$(PACKAGE_LIBS),g' \
           -e 's,@PRIVATE_LIBS_CMAKE@,$(subst $(space),;,$(strip $(PACKAGE_LIBS))),g'
space := $() $()

-include $(patsubst %.cc,$(DIR)/obj/%.d,$(ALL_SRC) $(TEST_SRC) $(PARITY_SRC) $(BENCH_SRC) $(LOAD_SRC) $(MICRO_SRC) $(FUZZ_SRC) test/fuzz/generate.cc)
-include $(patsubst %.cc,$(DIR)/pic/%.d,$(LIB_SRC)) $(HEADERS:%=$(DIR)/alone/%.ok.d)
