# What the goal needs is there, is installed (try, check and the other test goals, as root with apt), or
# is listed by its Debian name and make stops. tests/deps knows the packages.
DEPS_TESTS := check check-quick live golden lint clang san valgrind fuzz-short bench
DEPS_GOAL := $(if $(filter $(DEPS_TESTS),$(MAKECMDGOALS)),check,$(if \
	$(filter try,$(MAKECMDGOALS)),try,$(if $(filter unit unit-programs,$(MAKECMDGOALS)),unit,build)))
DEPS_MODE := $(if $(filter try check,$(DEPS_GOAL)),install)
DEPS_STATUS := $(shell tests/deps $(DEPS_GOAL) $(DEPS_MODE) && echo ready)
ifneq ($(DEPS_STATUS),ready)
$(error Missing packages, see above)
endif
