// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "test/net/subprocess_pair.h"
#include "test/support/child_process.h"

namespace rondo {
namespace {

using test::ChildRecorder;
using test::has_children;
using test::SubprocessPair;
using test::thrown_by;

// -- what it is given ---------------------------------------------------------

TEST(SubprocessStart, RunsInTheFolderAndEnvironmentGiven) {
  SubprocessPair pair(
      "pwd; env | sort | grep -v ^_ | grep -v ^PWD | grep -v ^SHLVL",
      SubprocessOptions().stdout(PIPE).cwd("/usr").env(
          {{"LANG", "C"}, {"PATH", "/usr/bin:/bin"}, {"X", "a=b c"}}));
  ASSERT_TRUE(pair.run_to_end());
  EXPECT_EQ(pair.recorder->received[1],
            "/usr\nLANG=C\nPATH=/usr/bin:/bin\nX=a=b c\n");
}

TEST(SubprocessStart, LooksAlongThePathOfTheEnvironmentGiven) {
  const auto output = [](const char* path) {
    return [path] {
      SubprocessOptions::Environment variables;
      if (path != nullptr) variables["PATH"] = path;
      SubprocessPair pair(argv("true"),
                          SubprocessOptions().stdout(PIPE).env(variables));
      EXPECT_TRUE(pair.run_to_end());
      EXPECT_EQ(pair.transport->get_returncode(), 0);
    };
  };
  EXPECT_EQ(thrown_by(output("/nowhere:/usr/bin:/bin")), "nothing");
  EXPECT_EQ(thrown_by(output(nullptr)), "nothing");  // Python's default
  EXPECT_EQ(thrown_by(output("/nowhere:")),
            "std::system_error: posix_spawn 'true': No such file or directory");
}

TEST(SubprocessStart, MayHaveASessionOfItsOwn) {
  for (const bool own : {false, true}) {
    SubprocessPair pair(
        "ps -o sid= -p $$ | tr -d ' '",
        SubprocessOptions().stdout(PIPE).start_new_session(own));
    const ::pid_t pid = pair.transport->get_pid();
    ASSERT_TRUE(pair.run_to_end());
    EXPECT_EQ(pair.recorder->received[1],
              std::to_string(own ? pid : ::getsid(0)) + "\n");
  }
}

TEST(SubprocessStart, BeginsWithDefaultSignalsAndNoneBlocked) {
  // 32 and 33 are the C library's own.
  EXPECT_EQ(in_child([]() -> std::string {
              for (const int number : {SIGPIPE, SIGINT, SIGUSR1}) {
                ::signal(number, SIG_IGN);
              }
              ::sigset_t all;
              ::sigfillset(&all);
              ::sigprocmask(SIG_SETMASK, &all, nullptr);
              SubprocessPair pair("grep -E '^Sig(Blk|Ign)' /proc/self/status",
                                  SubprocessOptions().stdout(PIPE));
              pair.run_to_end();
              std::string text = pair.recorder->received[1];
              const std::size_t own = text.find("180000000");
              if (own != std::string::npos) text[own] = text[own + 1] = '0';
              return text;
            }),
            "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

TEST(SubprocessStart, HasNoDescriptorsOfOurs) {
  const UniqueFd leaky(::open("/dev/null", O_RDONLY));  // without O_CLOEXEC
  ASSERT_TRUE(leaky);
  SubprocessPair pair("ls /proc/self/fd | tr '\\n' ' '",
                      SubprocessOptions().stdin(PIPE).stdout(PIPE));
  ASSERT_TRUE(pair.run_to_end());
  EXPECT_EQ(pair.recorder->received[1], "0 1 2 3 ");  // ls reads the folder
}

TEST(SubprocessStart, DevNullAndStdoutAndDescriptors) {
  Pipe pipe;
  {
    SubprocessPair pair("cat; echo out; echo err >&2",
                        SubprocessOptions()
                            .stdin(DEVNULL)
                            .stdout(pipe.writer.get())
                            .stderr(STDOUT));
    pipe.writer.reset();  // the child has its own
    ASSERT_TRUE(pair.run_to_end());
  }
  EXPECT_EQ(read_text(pipe.reader.get()), "out\nerr\n");
  SubprocessPair pair("echo out; echo err >&2",
                      SubprocessOptions().stdout(DEVNULL).stderr(PIPE));
  ASSERT_TRUE(pair.run_to_end());
  EXPECT_EQ(pair.recorder->received[2], "err\n");
}

/// Makes 0, 1 and 2 of a forked copy of this process what the test needs, and
/// gives what `command` does with them.
std::string with_own_streams(const std::function<void(SubprocessOptions&)>& set,
                             const char* command, bool close_ours) {
  Pipe in;
  Pipe out;
  Pipe err;
  write_text(in.writer.get(), "in");
  in.writer.reset();
  const std::string story = in_child([&] {
    ::dup2(in.reader.get(), 0);
    ::dup2(out.writer.get(), 1);
    ::dup2(err.writer.get(), 2);
    if (close_ours) {
      for (const int fd : {0, 1, 2}) ::close(fd);
    }
    SubprocessOptions options;
    set(options);
    SubprocessPair pair(command, options);
    pair.run_to_end();
    return pair.recorder->received[1] + "|" + pair.recorder->received[2];
  });
  return story + "|" + read_text(out.reader.get()) + "|" +
         read_text(err.reader.get());
}

// A number among the three that is to become another one of them is not
// overwritten before.
TEST(SubprocessStart, StreamsMayChangePlaces) {
  EXPECT_EQ(
      with_own_streams([](SubprocessOptions& o) { o.stdout(2).stderr(1); },
                       "cat; echo out; echo err >&2", false),
      "||err\n|inout\n");
  EXPECT_EQ(
      with_own_streams([](SubprocessOptions& o) { o.stdout(2).stderr(STDOUT); },
                       "cat; echo out; echo err >&2", false),
      "|||inout\nerr\n");
  EXPECT_EQ(
      with_own_streams(
          [](SubprocessOptions& o) { o.stdin(DEVNULL).stdout(1).stderr(PIPE); },
          "cat; echo out; echo err >&2", false),
      "|err\n|out\n|");
}

// To put one aside takes a number that none of them has.
TEST(SubprocessStart, AStreamMayHaveTheNumberThatIsTriedFirst) {
  EXPECT_EQ(with_own_streams(
                [](SubprocessOptions& o) {
                  ::dup2(0, 3);
                  o.stdin(3).stdout(2).stderr(1);
                },
                "cat; echo out; echo err >&2", false),
            "||err\n|inout\n");
}

TEST(SubprocessStart, PipesMayHaveTheNumbersOfStreams) {
  EXPECT_EQ(with_own_streams(
                [](SubprocessOptions& o) {
                  o.stdin(DEVNULL).stdout(PIPE).stderr(PIPE);
                },
                "cat; echo out; echo err >&2", true),
            "out\n|err\n||");
}

// -- what is refused ----------------------------------------------------------

TEST(SubprocessStart, NamesTheProgramThatCannotBeRun) {
  const auto starting = [](std::vector<std::string> words,
                           const SubprocessOptions& options =
                               SubprocessOptions()) {
    return [words, options] { SubprocessPair pair(words, options); };
  };
  EXPECT_EQ(thrown_by(starting({"no-such-command-here"})),
            "std::system_error: posix_spawn 'no-such-command-here': No such "
            "file or directory");
  EXPECT_EQ(thrown_by(starting({"/etc/passwd", "x"})),
            "std::system_error: posix_spawn '/etc/passwd': Permission denied");
  EXPECT_EQ(thrown_by(starting({"true"}, SubprocessOptions().cwd("/nowhere"))),
            "std::system_error: posix_spawn 'true' in '/nowhere': No such file "
            "or directory");
  EXPECT_FALSE(has_children());
}

TEST(SubprocessStart, RefusesADescriptorBeyondTheLimit) {
  EXPECT_EQ(thrown_by([] {
              SubprocessPair pair("exit 0",
                                  SubprocessOptions().stdout(1 << 30));
            }),
            "std::system_error: posix_spawn_file_actions_adddup2: Bad file "
            "descriptor");
  EXPECT_FALSE(has_children());
}

TEST(SubprocessStart, RefusesWhatMakesNoSense) {
  const auto factory = [] { return std::make_shared<ChildRecorder>(); };
  const auto with = [&](std::vector<std::string> words,
                        SubprocessOptions options = SubprocessOptions()) {
    return thrown_by([&] {
      static_cast<void>(subprocess_exec(factory, words, std::move(options)));
    });
  };
  EXPECT_EQ(with({}), "std::invalid_argument: subprocess: no program");
  EXPECT_EQ(with({""}), "std::invalid_argument: subprocess: no program");
  const std::string with_nul("a\0b", 3);
  const std::string nul_error = "std::invalid_argument: embedded null byte";
  EXPECT_EQ(with({"a", with_nul}), nul_error);
  EXPECT_EQ(with({"a"}, SubprocessOptions().cwd(with_nul)), nul_error);
  EXPECT_EQ(with({"a"}, SubprocessOptions().env({{"A", with_nul}})), nul_error);
  for (const char* name : {"", "A=B"}) {
    EXPECT_EQ(with({"a"}, SubprocessOptions().env({{name, ""}})),
              "std::invalid_argument: illegal environment variable name");
  }
  EXPECT_EQ(with({"a"}, SubprocessOptions().stdout(STDOUT)),
            "std::invalid_argument: STDOUT can only be used for stderr");
  EXPECT_EQ(with({"a"}, SubprocessOptions().stdin(-1)),
            "std::invalid_argument: Invalid file descriptor: -1");
}

}  // namespace
}  // namespace rondo
