// SPDX-License-Identifier: Apache-2.0

internal import HandlerHost

/// Memory that a handler's libraries may keep for themselves. It cannot be told from the handler's own; so, where there
/// is such a library, little of it is a note, and only more is a finding.
struct LibraryMemory {
    /// Libraries beyond those of the system, as the handler asks for them.
    let libraries: [String]

    /// Bytes of a round of open and close.
    static let roundLimit = 1024
    /// Bytes of a command.
    static let commandLimit = 64

    /// These keep nothing for a device or a command.
    private static let quiet = [
        "ld-linux", "libBlocksRuntime.so", "libFoundation", "lib_Foundation", "libaio.so", "libasan.so", "libatomic.so",
        "libc.so", "libclang_rt.", "libdispatch.so", "libdl.so", "libgcc_s.so", "libhandler_", "libm.so",
        "libpthread.so", "librt.so", "libstdc++.so", "libswift", "libtsan.so", "libz.so",
    ]

    init(of handlerPath: String) {
        libraries = HandlerInspection.neededLibraries(handlerPath).filter { name in
            !Self.quiet.contains { name.hasPrefix($0) }
        }
    }

    /// Whether so much may be theirs.
    func mayKeep(_ byteCount: Int, of limit: Int) -> Bool { !libraries.isEmpty && byteCount <= limit }

    /// What follows the figure in a note.
    var words: String { "what \(libraries.joined(separator: ", ")) may keep cannot be told from the handler's own" }
}
