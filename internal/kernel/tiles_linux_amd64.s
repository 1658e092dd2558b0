#include "textflag.h"

// The assembler has no names for AMX: these are its instructions, of the registers that are used.
#define LDTILECFG_AX BYTE $0xc4; BYTE $0xe2; BYTE $0x78; BYTE $0x49; BYTE $0x00
#define TILERELEASE BYTE $0xc4; BYTE $0xe2; BYTE $0x78; BYTE $0x49; BYTE $0xc0

// Sums: TMM0 and TMM1 of the rows of one tile of A, TMM2 and TMM3 of those of another.
#define LOAD_TMM0_AX_CX BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x4b; BYTE $0x04; BYTE $0x08
#define LOAD_TMM1_AX_CX_64 BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x4b; BYTE $0x4c; BYTE $0x08; BYTE $0x40
#define LOAD_TMM2_BX_CX BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x4b; BYTE $0x14; BYTE $0x0b
#define LOAD_TMM3_BX_CX_64 BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x4b; BYTE $0x5c; BYTE $0x0b; BYTE $0x40
#define STORE_TMM0_AX_R11 BYTE $0xc4; BYTE $0xa2; BYTE $0x7a; BYTE $0x4b; BYTE $0x04; BYTE $0x18
#define STORE_TMM1_AX_R11_64 BYTE $0xc4; BYTE $0xa2; BYTE $0x7a; BYTE $0x4b; BYTE $0x4c; BYTE $0x18; BYTE $0x40
#define STORE_TMM2_BX_R11 BYTE $0xc4; BYTE $0xa2; BYTE $0x7a; BYTE $0x4b; BYTE $0x14; BYTE $0x1b
#define STORE_TMM3_BX_R11_64 BYTE $0xc4; BYTE $0xa2; BYTE $0x7a; BYTE $0x4b; BYTE $0x5c; BYTE $0x1b; BYTE $0x40

// Factors: TMM4 and TMM5 of A, TMM6 and TMM7 of B.
#define LOAD_TMM4_AX_R10 BYTE $0xc4; BYTE $0xa2; BYTE $0x7b; BYTE $0x4b; BYTE $0x24; BYTE $0x10
#define LOAD_TMM5_BX_R10 BYTE $0xc4; BYTE $0xa2; BYTE $0x7b; BYTE $0x4b; BYTE $0x2c; BYTE $0x13
#define LOAD_TMM6_CX_R15 BYTE $0xc4; BYTE $0xa2; BYTE $0x7b; BYTE $0x4b; BYTE $0x34; BYTE $0x39
#define LOAD_TMM7_R14_R15 BYTE $0xc4; BYTE $0x82; BYTE $0x7b; BYTE $0x4b; BYTE $0x3c; BYTE $0x3e
#define ADD_TMM0_TMM4_TMM6 BYTE $0xc4; BYTE $0xe2; BYTE $0x4a; BYTE $0x5c; BYTE $0xc4
#define ADD_TMM1_TMM4_TMM7 BYTE $0xc4; BYTE $0xe2; BYTE $0x42; BYTE $0x5c; BYTE $0xcc
#define ADD_TMM2_TMM5_TMM6 BYTE $0xc4; BYTE $0xe2; BYTE $0x4a; BYTE $0x5c; BYTE $0xd5
#define ADD_TMM3_TMM5_TMM7 BYTE $0xc4; BYTE $0xe2; BYTE $0x42; BYTE $0x5c; BYTE $0xdd

// func tilesAMX(args *byte)
//
// tilesAMX computes products of bfloat16, two tiles of A at a time; see tileArgs.
TEXT ·tilesAMX(SB), NOSPLIT, $0-8
	MOVQ args+0(FP), SI
	MOVQ 96(SI), AX
	LDTILECFG_AX
	MOVQ 8(SI), R8   // offsets in A
	MOVQ 32(SI), R9  // and in C
	MOVQ 16(SI), R10 // bytes from row to row of A
	MOVQ 40(SI), R11 // and of C
	MOVQ 48(SI), R12 // tiles that are left
	MOVQ 72(SI), R13
	MOVQ $64, R15    // bytes from row to row of B

pair:
	// The last tile of an odd number goes with itself.
	MOVQ 88(SI), CX
	TESTQ CX, CX
	JZ   old
	MOVQ CX, AX
	MOVQ CX, BX
	XORQ CX, CX // the same row for all
	JMP  begin

old:
	MOVQ 24(SI), AX
	MOVQ AX, BX
	ADDQ (R9), AX
	MOVQ (R9), DX
	CMPQ R12, $1
	JEQ  oldAlone
	MOVQ 8(R9), DX

oldAlone:
	ADDQ DX, BX
	MOVQ R11, CX

begin:
	LOAD_TMM0_AX_CX
	LOAD_TMM2_BX_CX
	CMPQ 104(SI), $1
	JEQ  factors
	LOAD_TMM1_AX_CX_64
	LOAD_TMM3_BX_CX_64

factors:
	MOVQ 0(SI), AX
	MOVQ AX, BX
	ADDQ (R8), AX
	MOVQ (R8), DX
	CMPQ R12, $1
	JEQ  factorsAlone
	MOVQ 8(R8), DX

factorsAlone:
	ADDQ DX, BX
	MOVQ 80(SI), CX
	MOVQ CX, R14
	ADDQ 112(SI), R14
	MOVQ 56(SI), DI
	CMPQ 104(SI), $1
	JEQ  narrowRun

wideRun:
	MOVQ 64(SI), DX

wideChunk:
	LOAD_TMM4_AX_R10
	LOAD_TMM6_CX_R15
	LOAD_TMM7_R14_R15
	ADD_TMM0_TMM4_TMM6
	LOAD_TMM5_BX_R10
	ADD_TMM1_TMM4_TMM7
	ADD_TMM2_TMM5_TMM6
	ADD_TMM3_TMM5_TMM7
	ADDQ $64, AX
	ADDQ $64, BX
	ADDQ $1024, CX
	ADDQ $1024, R14
	DECQ DX
	JNZ  wideChunk
	ADDQ R13, AX
	ADDQ R13, BX
	DECQ DI
	JNZ  wideRun
	JMP  store

narrowRun:
	MOVQ 64(SI), DX

narrowChunk:
	LOAD_TMM4_AX_R10
	LOAD_TMM6_CX_R15
	LOAD_TMM5_BX_R10
	ADD_TMM0_TMM4_TMM6
	ADD_TMM2_TMM5_TMM6
	ADDQ $64, AX
	ADDQ $64, BX
	ADDQ $1024, CX
	DECQ DX
	JNZ  narrowChunk
	ADDQ R13, AX
	ADDQ R13, BX
	DECQ DI
	JNZ  narrowRun

store:
	MOVQ 24(SI), AX
	MOVQ AX, BX
	ADDQ (R9), AX
	MOVQ (R9), DX
	CMPQ R12, $1
	JEQ  storeAlone
	MOVQ 8(R9), DX

storeAlone:
	ADDQ DX, BX
	STORE_TMM0_AX_R11
	STORE_TMM2_BX_R11
	CMPQ 104(SI), $1
	JEQ  next
	STORE_TMM1_AX_R11_64
	STORE_TMM3_BX_R11_64

next:
	ADDQ $16, R8
	ADDQ $16, R9
	SUBQ $2, R12
	JGT  pair
	TILERELEASE
	RET
