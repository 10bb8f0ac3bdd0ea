// toolchain.cc: the only C++ file. Clang, LLD and LLVM's archive writer in this process, behind the plain C
// functions of codegen.h. Where the C library, crt files and libgcc of a target lie is asked of Clang's own
// driver, so that Debian's cross packages and --sysroot work as they do for clang itself. Which code goes in
// is the business of emit.c.
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <unistd.h>
#include <vector>

#include "clang/Basic/Diagnostic.h"
#include "clang/CodeGen/CodeGenAction.h"
#include "clang/Driver/Compilation.h"
#include "clang/Driver/Driver.h"
#include "clang/Driver/Job.h"
#include "clang/Frontend/CompilerInstance.h"
#include "clang/Frontend/CompilerInvocation.h"
#include "lld/Common/Driver.h"
#include "llvm/Object/ArchiveWriter.h"
#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/SHA256.h"
#include "llvm/Support/Signals.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/TargetParser/Host.h"

extern "C" {
#include "codegen.h"
}

LLD_HAS_DRIVER(elf)

namespace
{

void new_failed() { out_of_memory(0); }

void llvm_failed(void *, const char *, bool) { out_of_memory(0); }

// LLVM's registries are global: they are filled once in the life of the process, and only for the targets of
// targets.def. LLVM would abort for lack of memory, and temporary files would stay.
void initialize_once()
{
	static std::once_flag once;
	std::call_once(once, [] {
		std::set_new_handler(new_failed);
		llvm::install_bad_alloc_error_handler(llvm_failed);
		LLVMInitializeX86TargetInfo(), LLVMInitializeX86Target(), LLVMInitializeX86TargetMC();
		LLVMInitializeX86AsmPrinter(), LLVMInitializeX86AsmParser();
		LLVMInitializeAArch64TargetInfo(), LLVMInitializeAArch64Target(), LLVMInitializeAArch64TargetMC();
		LLVMInitializeAArch64AsmPrinter(), LLVMInitializeAArch64AsmParser();
		LLVMInitializeARMTargetInfo(), LLVMInitializeARMTarget(), LLVMInitializeARMTargetMC();
		LLVMInitializeARMAsmPrinter(), LLVMInitializeARMAsmParser();
		// LLVM gives the first thread that writes a file a signal stack, and sanitizers object when that
		// thread ends: it should be the one that lives as long as the process. The handlers that were there
		// are called as before.
		llvm::sys::SetInfoSignalFunction(nullptr);
	});
}

// Clang's messages as ours. A complaint about emitted C is a defect of the emitter: the file named is the
// emitted one.
class Collector : public clang::DiagnosticConsumer
{
  public:
	explicit Collector(Diag *diag) : diag(diag) {}
	void HandleDiagnostic(clang::DiagnosticsEngine::Level level, const clang::Diagnostic &info) override
	{
		clang::DiagnosticConsumer::HandleDiagnostic(level, info);
		if (level < clang::DiagnosticsEngine::Warning)
			return;
		llvm::SmallString<256> text;
		info.FormatDiagnostic(text);
		std::string file;
		unsigned line = 0;
		if (info.hasSourceManager() && info.getLocation().isValid()) {
			clang::PresumedLoc place = info.getSourceManager().getPresumedLoc(info.getLocation());
			if (place.isValid())
				file = llvm::StringRef(place.getFilename()).rsplit('/').second.str(), line = place.getLine();
		}
		if (level == clang::DiagnosticsEngine::Warning)
			diag_warn(diag, 0, "Clang on the emitted code, line %u: %s", line, text.c_str());
		else
			diag_error(diag, EXIT_RUN, 0, "Clang on the emitted code%s%s, line %u: %s",
				file.empty() ? "" : " ", file.c_str(), line, text.c_str());
	}

  private:
	Diag *diag;
};

// A driver run that stops before doing anything: its jobs carry the arguments that clang would give to cc1 or
// the linker.
struct Plan {
	std::vector<std::string> text;
	llvm::IntrusiveRefCntPtr<clang::DiagnosticsEngine> engine;
	std::unique_ptr<clang::driver::Driver> driver;
	std::unique_ptr<clang::driver::Compilation> compilation;

	Plan(const Target *target, const char *sysroot, std::vector<std::string> arguments, Diag *diag)
	{
		text = {LLVM_PREFIX "/bin/clang", std::string("--target=") + target->triple};
		if (sysroot)
			text.push_back(std::string("--sysroot=") + sysroot);
		for (llvm::StringRef rest = target->flags ? target->flags : ""; !rest.empty();) {
			auto [flag, tail] = rest.split(' ');
			text.push_back(flag.str());
			rest = tail;
		}
		text.insert(text.end(), arguments.begin(), arguments.end());
		std::vector<const char *> argv;
		for (const std::string &argument : text)
			argv.push_back(argument.c_str());
		engine = new clang::DiagnosticsEngine(
			new clang::DiagnosticIDs, new clang::DiagnosticOptions, new Collector(diag));
		driver = std::make_unique<clang::driver::Driver>(
			LLVM_PREFIX "/bin/clang", "x86_64-linux-gnu", *engine);
		driver->setCheckInputsExist(false);
		compilation.reset(driver->BuildCompilation(argv));
	}
	// Arguments of the only job, without the program's name; NULL when the driver refused.
	const llvm::opt::ArgStringList *arguments() const
	{
		if (!compilation || compilation->containsError() || compilation->getJobs().size() != 1)
			return nullptr;
		return &compilation->getJobs().begin()->getArguments();
	}
};

bool missing_sysroot(const Target *target, const char *sysroot, const char *what, Diag *diag)
{
	llvm::StringRef triple = target->triple;
	const char *packages = "libc6-dev libgcc-12-dev";
	if (triple.starts_with("aarch64"))
		packages = "libc6-dev-arm64-cross libgcc-12-dev-arm64-cross";
	else if (triple.starts_with("arm"))
		packages = "libc6-dev-armhf-cross libgcc-12-dev-armhf-cross";
	return diag_error(diag, EXIT_UNSUPPORTED, 0,
		"no C library for %s: %s was not found%s%s; on Debian install %s, or give --sysroot=DIR, "
		"or use --emit=c",
		target->triple, what, sysroot ? " under " : "", sysroot ? sysroot : "", packages);
}

// The link job names every crt file by its full path, or by its bare name when it found none.
bool check_crt(
	const Target *target, const char *sysroot, const llvm::opt::ArgStringList &arguments, Diag *diag)
{
	for (const char *argument : arguments) {
		llvm::StringRef name = argument;
		if (name.starts_with("crt") && name.ends_with(".o") && !name.contains('/'))
			return missing_sysroot(target, sysroot, argument, diag);
	}
	return true;
}

bool check_sysroot(const Target *target, const char *sysroot, Diag *diag)
{
	Plan plan(target, sysroot, {"-static", "-fuse-ld=lld", "-x", "none", "a.o", "-o", "a"}, diag);
	const llvm::opt::ArgStringList *arguments = plan.arguments();
	return arguments
		? check_crt(target, sysroot, *arguments, diag)
		: diag_error(diag, EXIT_RUN, 0, "Clang's driver knows no way to link for %s", target->triple);
}

// Every line of LLD's output as a message.
bool report_lines(llvm::StringRef text, Diag *diag)
{
	while (!text.empty()) {
		auto [line, rest] = text.split('\n');
		text = rest;
		if (!line.trim().empty())
			diag_error(diag, EXIT_RUN, 0, "%s", line.trim().str().c_str());
	}
	return diag->errors == 0 ? diag_error(diag, EXIT_RUN, 0, "linking failed") : false;
}

} // namespace

extern "C" void toolchain_start(void) { initialize_once(); }

extern "C" bool toolchain_compile(const CompileJob *job, Diag *diag)
{
	initialize_once();
	std::vector<std::string> arguments = {
		"-std=c17", job->pic ? "-fPIC" : "-fno-pie", "-pthread", "-c", "-x", "c"};
	for (const char *flag : {COMPILE_FLAGS})
		arguments.push_back(flag);
	for (const char *const *define = job->defines; define && *define; define++)
		arguments.push_back(std::string("-D") + *define);
	arguments.push_back(std::string("-I") + job->directory);
	arguments.insert(arguments.end(), {job->source, "-o", job->object});
	Plan plan(job->target, job->sysroot, arguments, diag);
	const llvm::opt::ArgStringList *cc1 = plan.arguments();
	if (!cc1)
		return diag_error(diag, EXIT_RUN, 0, "Clang's driver cannot compile for %s", job->target->triple);
	std::string headers = plan.driver->ResourceDir + "/include/stddef.h";
	if (access(headers.c_str(), R_OK) != 0)
		return diag_error(diag, EXIT_UNSUPPORTED, 0,
			"Clang's own headers are missing: no %s; on Debian install libclang-common-19-dev, "
			"or give --cc=PROG, or use --emit=c",
			headers.c_str());
	if (!check_sysroot(job->target, job->sysroot, diag))
		return false;

	clang::CompilerInstance clang;
	clang.createDiagnostics(new Collector(diag));
	auto invocation = std::make_shared<clang::CompilerInvocation>();
	// the list opens with -cc1, which is for the program's own main
	if (!clang::CompilerInvocation::CreateFromArgs(
			*invocation, llvm::ArrayRef(*cc1).drop_front(), clang.getDiagnostics()))
		return diag_error(diag, EXIT_RUN, 0, "Clang refused its arguments");
	invocation->getFrontendOpts().DisableFree = false; // this process lives on
	invocation->getCodeGenOpts().DisableFree = false;
	invocation->getDiagnosticOpts().ShowCarets = false; // no "2 warnings generated." on standard error
	clang.setInvocation(invocation);
	clang::EmitObjAction action;
	if (!clang.ExecuteAction(action) || clang.getDiagnostics().hasErrorOccurred())
		return diag->errors ? false : diag_error(diag, EXIT_RUN, 0, "compiling the emitted code failed");
	return true;
}

extern "C" bool toolchain_link(EmitKind kind, bool is_static, const Target *target,
	const char *const *objects, const char *out, const char *sysroot, Diag *diag)
{
	const char *whole = is_static ? "-static" : "-pie";
	std::vector<std::string> arguments = {
		"-fuse-ld=lld", kind == EMIT_SHARED ? "-shared" : whole, "-pthread"};
	if (kind == EMIT_SHARED)
		arguments.push_back("-Wl,--no-undefined");
	arguments.push_back("-Wl,--gc-sections");
	// lld keeps a pool of threads for good, which a process forked later (tune's candidates) would wait for
	// in vain
	arguments.push_back("-Wl,--threads=1");
	if (*target->link_flags)
		arguments.push_back(target->link_flags);
	for (const char *const *object = objects; *object; object++)
		arguments.push_back(*object);
	arguments.insert(arguments.end(), {"-lm", "-o", out});
	Plan plan(target, sysroot, arguments, diag);
	const llvm::opt::ArgStringList *list = plan.arguments();
	if (!list)
		return diag_error(diag, EXIT_RUN, 0, "Clang's driver knows no way to link for %s", target->triple);
	if (!check_crt(target, sysroot, *list, diag))
		return false;
	std::vector<const char *> link = {"ld.lld"};
	link.insert(link.end(), list->begin(), list->end());
	std::string messages, ignored;
	llvm::raw_string_ostream error_stream(messages), output_stream(ignored);
	lld::Result result = lld::lldMain(link, output_stream, error_stream, {{lld::Gnu, &lld::elf::link}});
	return result.retCode == 0 ? true : report_lines(messages, diag);
}

extern "C" bool toolchain_archive(const char *const *objects, const char *out, Diag *diag)
{
	std::vector<llvm::NewArchiveMember> members;
	for (const char *const *object = objects; *object; object++) {
		llvm::Expected<llvm::NewArchiveMember> member = llvm::NewArchiveMember::getFile(
			*object, /*Deterministic=*/true);
		if (!member)
			return diag_error(
				diag, EXIT_RUN, 0, "%s: %s", *object, llvm::toString(member.takeError()).c_str());
		if (llvm::StringRef(*object).contains('/'))
			member->MemberName = llvm::StringRef(*object).rsplit('/').second;
		members.push_back(std::move(*member));
	}
	llvm::Error error = llvm::writeArchive(out, members, llvm::SymtabWritingMode::NormalSymtab,
		llvm::object::Archive::K_GNU,
		/*Deterministic=*/true, /*Thin=*/false);
	if (error)
		return diag_error(diag, EXIT_RUN, 0, "%s: %s", out, llvm::toString(std::move(error)).c_str());
	return true;
}

extern "C" void toolchain_sha256(const void *const *parts, const size_t *bytes, int count, char hex[65])
{
	llvm::SHA256 hash;
	for (int i = 0; i < count; i++)
		hash.update(llvm::ArrayRef(static_cast<const uint8_t *>(parts[i]), bytes[i]));
	int at = 0;
	for (uint8_t byte : hash.final()) {
		hex[at++] = "0123456789abcdef"[byte >> 4];
		hex[at++] = "0123456789abcdef"[byte & 15];
	}
	hex[at] = 0;
}

extern "C" const char *toolchain_host_cpu(void)
{
	static const std::string name = llvm::sys::getHostCPUName().str();
	return name.c_str();
}
